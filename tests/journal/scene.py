"""A tenant with one of everything, to act in."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from uuid import uuid4

from agents.actions import versions
from agents.models import Agent, Run, Tool
from db.scope import tenant_scope
from escalations.models import Escalation
from tenants.actions import api_keys, invitations, members, staff, teams
from tenants.models import ApiKey, Membership, Role, StaffAccess, Team, Tenant, User
from tenants.principal import COMMAND, Principal
from tests.isolation.peopling import ask, peopled
from tests.worlds import World, add_factor

Json = Any

SPEC: Json = {"role": "Does nothing else.", "model": {"id": "claude-opus-4-7"}, "tools": ["lookup"]}


@dataclass
class Scene:
    """The tenant, and ways to what is in it. Reading a property may make the thing, before the action is called."""

    world: World = field(default_factory=peopled)

    @property
    def alice(self) -> Principal:
        """The tenant's operator."""
        return self.world.alice

    @cached_property
    def olga(self) -> Principal:
        """The tenant's owner."""
        return self.world.member("olga", Role.OWNER)

    @property
    def tenant(self) -> Tenant:
        return Tenant.objects.get(id=self.world.tenant_id)

    def email(self, name: str) -> str:
        """Return an address in the tenant's domain."""
        return f"{name}@{self.world.slug}.example"

    @property
    def agent(self) -> Agent:
        return self.world.agent("agent")

    @property
    def tool(self) -> Tool:
        with tenant_scope(self.world.tenant_id):
            return Tool.objects.select_related("live").get()

    @property
    def team(self) -> Team:
        with tenant_scope(self.world.tenant_id):
            return Team.objects.get(slug="desk")

    def spare_team(self) -> Team:
        """A team that no queue names."""
        return teams.put(tenant_id=self.world.tenant_id, slug="spare", emails=[self.email("bob")], acting_as=COMMAND)

    @property
    def bob(self) -> User:
        return User.objects.get(id=self.world.bob.user_id)

    @property
    def membership(self) -> Membership:
        """Bob's place, which has much hanging on it."""
        with tenant_scope(self.world.tenant_id):
            return Membership.objects.get(user_id=self.world.bob.user_id)

    @property
    def run(self) -> Run:
        with tenant_scope(self.world.tenant_id):
            return Run.objects.get()

    def question(self, required: int = 1, queue: str | None = None) -> Escalation:
        """Something that Rita may decide."""
        with tenant_scope(self.world.tenant_id):
            question = ask(Run.objects.get())
            question.required, question.queue = required, queue
            question.save()
            return question

    def key(self) -> ApiKey:
        """A member's key."""
        made, _ = api_keys.create(
            tenant=self.tenant, name="k", scopes=["runs:read"], member_email=self.email("bob"), acting_as=COMMAND
        )
        return made

    def invited(self) -> tuple[Any, str]:
        """A pending invitation and its token."""
        return invitations.invite(
            tenant_id=self.world.tenant_id, email=self.email("new"), role=Role.VIEWER, acting_as=COMMAND
        )

    def second_version(self, *, live: bool) -> None:
        """Give the agent another version."""
        from agents.actions import agents

        draft = agents.put_draft("agent", SPEC, acting_as=self.alice)
        made = versions.create(draft, acting_as=self.alice)
        if live:
            versions.publish(draft, made.version.number, acting_as=self.alice)

    @cached_property
    def staffer(self) -> str:
        """The address of one of the platform's staff."""
        email = f"staff-{uuid4().hex[:8]}@platform.example"
        add_factor(staff.add(email=email, acting_as=COMMAND))
        return email

    def opened(self) -> StaffAccess:
        """The tenant open for the platform's staff."""
        reason = "looking for a lost run"
        return staff.open_access(self.tenant, email=self.staffer, reason=reason, hours=1, acting_as=COMMAND)

    def deactivated(self) -> Membership:
        """Bob's place, when it lets him in no more."""
        return members.deactivate(self.membership, acting_as=COMMAND)

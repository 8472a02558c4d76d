"""Small tenants to test in: people, a few python tools with a ledger of effects, agents made through the actions."""

import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

from allauth.mfa.models import Authenticator

from access import grants
from agents.actions import agents, tools, versions
from agents.actions.runs import Request, submit
from agents.models import Agent, Run
from agents.tools.python import tool
from audit import journal
from audit.journal import Stored
from db.scope import tenant_scope
from tenants.actions import members, tenants
from tenants.models import Role, User
from tenants.principal import COMMAND, Principal

Json = Any


@dataclass
class Ledger:
    """What the tools did, by idempotency key or argument: the tests' witness outside the platform."""

    effects: Counter[str] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, effect: str) -> int:
        """Count one effect and return how often it has happened."""
        with self.lock:
            self.effects[effect] += 1
            return self.effects[effect]


LEDGER = Ledger()


@tool("test_lookup")
def lookup(key: str) -> Json:
    """Return the value of a key."""
    LEDGER.note(f"lookup {key}")
    return {"key": key, "value": f"value of {key}"}


@tool("test_pay")
def pay(amount: int, to: str) -> Json:
    """Pay somebody."""
    LEDGER.note(f"pay {amount} to {to}")
    return {"paid": amount, "to": to}


@tool("test_fail")
def fail(key: str) -> Json:
    """Fail."""
    raise RuntimeError(f"no {key} today")


LOOKUP: Json = {
    "description": "Look a key up.",
    "type": "python",
    "python": {"function": "test_lookup"},
    "input_schema": {"type": "object", "properties": {"key": {"type": "string"}}, "required": ["key"]},
    "effect": "read",
}
PAY: Json = {
    "description": "Pay somebody.",
    "type": "python",
    "python": {"function": "test_pay"},
    "input_schema": {
        "type": "object",
        "properties": {"amount": {"type": "integer", "minimum": 1}, "to": {"type": "string"}},
        "required": ["amount", "to"],
        "additionalProperties": False,
    },
    "effect": "irreversible",
}
VERDICT: Json = {
    "type": "object",
    "properties": {"decision": {"enum": ["approve", "reject", "escalate"]}, "confidence": {"type": "number"}},
    "required": ["decision", "confidence"],
}


@dataclass
class World:
    """A tenant with an operator (Alice), a member without rights (Bob), a reviewer (Rita)."""

    tenant_id: UUID
    slug: str
    alice: Principal
    bob: Principal
    rita: Principal

    def submit(self, agent: str, run_input: Json, **more: Any) -> Run:
        """Start a run as Alice."""
        return submit(Request(agent=agent, input=run_input, **more), acting_as=self.alice).run

    def run(self, run_id: UUID) -> Run:
        """Read a run again."""
        with tenant_scope(self.tenant_id):
            return Run.objects.select_related("agent", "version").get(id=run_id)

    def events(self, run_id: UUID) -> list[Stored]:
        """Read a run's journal."""
        with tenant_scope(self.tenant_id):
            return journal.read(run_id)

    def actions(self, run_id: UUID) -> list[str]:
        """Return the types of a run's events."""
        return [stored.action for stored in self.events(run_id)]

    def member(self, name: str, role: Role) -> Principal:
        """Make another member."""
        tenant = tenants.by_slug(self.slug)
        made = members.put(tenant=tenant, email=f"{name}@{self.slug}.example", role=role, acting_as=COMMAND)
        return Principal(self.tenant_id, made.user_id, role)

    def grant(self, permission: str, obj: Any, to: Principal) -> None:
        """Grant a member something, as the operator."""
        with tenant_scope(self.tenant_id):
            grants.add(obj, permission, User.objects.get(id=to.user_id), acting_as=self.alice)

    def agent(self, slug: str) -> Agent:
        """Return an agent."""
        with tenant_scope(self.tenant_id):
            return Agent.objects.get(slug=slug)

    def define(self, agent: str, *, role: str, tool_specs: dict[str, Json] | None = None, **spec: Json) -> None:
        """Make and publish an agent; `role` is what rehearsal scripts match on."""
        with tenant_scope(self.tenant_id):
            for name, tool_spec in (tool_specs or {}).items():
                tools.put(name, tool_spec, acting_as=self.alice)
            names = [*(tool_specs or {}), *spec.pop("more_tools", [])]
            whole = {"role": role, "model": {"id": "claude-opus-4-7", "max_tokens": 2048}, "tools": names, **spec}
            made = versions.create(agents.put_draft(agent, whole, acting_as=self.alice), acting_as=self.alice)
            versions.publish(made.version.agent, made.version.number, acting_as=self.alice)


def add_factor(user: User) -> User:
    """Give an account a second factor that nobody can show, for who is signed in already; returns the account."""
    Authenticator.objects.create(user=user, type=Authenticator.Type.TOTP, data={})
    return user


def world() -> World:
    """Make a fresh tenant."""
    slug = f"t{uuid4().hex[:12]}"
    tenant = tenants.create(slug=slug, acting_as=COMMAND)

    def person(name: str, role: Role) -> Principal:
        member = members.put(tenant=tenant, email=f"{name}@{slug}.example", role=role, acting_as=COMMAND)
        return Principal(tenant.id, member.user_id, role)

    return World(
        tenant.id, slug, person("alice", Role.OPERATOR), person("bob", Role.VIEWER), person("rita", Role.REVIEWER)
    )

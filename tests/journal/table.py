"""Every action there is: how each is called, and how many records it leaves."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final
from uuid import uuid4

from allauth.socialaccount.models import SocialAccount

from access import grants, refusals
from access.errors import MissingScope
from agents.actions import (
    agents,
    budgets,
    mcp_servers,
    policies,
    runs,
    sources,
    tools,
    tries,
    trying_policies,
    versions,
)
from agents.actions import grants as agent_grants
from agents.actions.runs import Request
from agents.config import applying
from agents.config.reading import read
from audit import search
from db.scope import PLATFORM, tenant_scope
from escalations.actions import decisions, queues
from escalations.actions.decisions import Answer
from signin import records as sign_in_records
from signin.actions import email_domains, identities, identity_providers
from signin.actions.identity_providers import Wanted
from signin.models import EmailDomain, IdentityProvider
from tenants.actions import api_keys, invitations, members, refused_keys, staff, teams, tenants
from tenants.models import Role, User
from tenants.principal import COMMAND, Principal
from tests.journal.scene import SPEC, Scene
from tests.worlds import LOOKUP
from vault.actions import keys, secrets
from vault.models import FieldKey

Json = Any
Call = Callable[[], Any]


@dataclass(frozen=True)
class Case:
    """prepare: does what comes before and returns the call itself. records: what it leaves; one for each change."""

    prepare: Callable[[Scene], Call]
    records: int = 1


def inside(scene: Scene, call: Callable[..., Any], *args: Any, **named: Any) -> Call:
    """Return the call, made in the tenant's scope."""

    def made() -> Any:
        with tenant_scope(scene.world.tenant_id):
            return call(*args, **named)

    return made


def put_tool(scene: Scene, name: str, **changed: Json) -> Call:
    return partial(tools.put, name, LOOKUP | changed, acting_as=scene.alice)


def put_draft(scene: Scene, slug: str, **changed: Json) -> Call:
    return partial(agents.put_draft, slug, SPEC | changed, acting_as=scene.alice)


def discard_draft(scene: Scene) -> Call:
    with tenant_scope(scene.world.tenant_id):
        spec = dict(agents.spec_of(scene.agent) or {})
    put_draft(scene, "agent")()
    return partial(agents.put_draft, "agent", spec, acting_as=scene.alice)


def create_version(scene: Scene) -> Call:
    return partial(versions.create, put_draft(scene, "agent")(), acting_as=scene.alice)


def publish(scene: Scene) -> Call:
    scene.second_version(live=False)
    return partial(versions.publish, scene.agent, 2, acting_as=scene.alice)


def roll_back(scene: Scene) -> Call:
    scene.second_version(live=True)
    return partial(versions.rollback, scene.agent, acting_as=scene.alice)


def change_source(scene: Scene) -> Call:
    sources.put("sales", {"engine": "sqlite", "url": "a.db"}, acting_as=scene.alice)
    return partial(sources.put, "sales", {"engine": "sqlite", "url": "b.db"}, acting_as=scene.alice)


def policy_of(then: str) -> Json:
    return {"applies_to": {"tools": ["lookup"]}, "then": then}


def put_policy(scene: Scene, then: str) -> Call:
    return partial(policies.put, "lookups", policy_of(then), acting_as=scene.alice)


def change_policy(scene: Scene) -> Call:
    put_policy(scene, "deny")()
    return put_policy(scene, "approve")


def delete_policy(scene: Scene) -> Call:
    put_policy(scene, "deny")()
    return partial(policies.delete, "lookups", acting_as=scene.alice)


ELSEWHERE_HTTP: Json = {"transport": "http", "url": "https://tools.example/mcp"}


def change_mcp_server(scene: Scene) -> Call:
    mcp_servers.put("desk", ELSEWHERE_HTTP, acting_as=scene.alice)
    return partial(mcp_servers.put, "desk", ELSEWHERE_HTTP | {"url": "https://b.example"}, acting_as=scene.alice)


def remove_mcp_server(scene: Scene) -> Call:
    mcp_servers.put("desk", ELSEWHERE_HTTP, acting_as=scene.alice)
    return partial(mcp_servers.remove, "desk", acting_as=scene.alice)


def remove_grant(scene: Scene) -> Call:
    with tenant_scope(scene.world.tenant_id):
        grant = grants.of(scene.agent)[0]
    return partial(grants.remove, scene.agent, grant.id, acting_as=scene.alice)


def decide(scene: Scene, required: int = 1) -> Call:
    question = scene.question(required)
    return partial(decisions.decide, question.id, Answer("approve", question.digest), acting_as=scene.world.rita)


def accept(scene: Scene) -> Call:
    _, token = scene.invited()
    user = User.objects.create(email=scene.email("new"))
    return partial(invitations.accept, token, user_id=user.id)


def remove_staff(scene: Scene) -> Call:
    scene.opened()
    return partial(staff.remove, email=scene.staffer, acting_as=COMMAND)


def close_access(scene: Scene) -> Call:
    scene.opened()
    return partial(staff.close_access, scene.tenant, email=scene.staffer, acting_as=COMMAND)


def look(scene: Scene) -> Call:
    access = scene.opened()
    looking = Principal(scene.world.tenant_id, access.user_id, Role.COMPLIANCE, staff_access_id=access.id)
    return partial(staff.looked, looking, route="api:runs", method="GET", path="/api/v1/runs")


def refuse_key(scene: Scene) -> Call:
    key = api_keys.revoke(scene.key(), acting_as=COMMAND)
    return partial(refused_keys.record, bytes(key.digest))


def remove_secret(scene: Scene) -> Call:
    secrets.put("token", "long enough", acting_as=scene.alice)
    return partial(secrets.remove, "token", acting_as=scene.alice)


def put_budget(scene: Scene, name: str, of: Json, usd: str = "5.00") -> Call:
    spec = {"of": of, "window": "month", "usd": usd, "soft": 0.5}
    return partial(budgets.put, name, spec, acting_as=scene.alice)


def change_budget(scene: Scene) -> Call:
    put_budget(scene, "agents", {"agent": "agent"})()
    return put_budget(scene, "agents", {"agent": "agent"}, "6.00")


def remove_budget(scene: Scene, of: Json) -> Call:
    put_budget(scene, "some", of)()
    return partial(budgets.remove, "some", acting_as=scene.alice)


def change_secret(scene: Scene) -> Call:
    secrets.put("token", "long enough", acting_as=scene.alice)
    return partial(secrets.put, "token", "another one", acting_as=scene.alice)


def forget_key(scene: Scene) -> Call:
    lost = uuid4().hex[:8]
    with tenant_scope(PLATFORM):
        FieldKey.objects.create(id=lost)
    return partial(keys.forget, lost, acting_as=COMMAND)


def withdraw_domain(scene: Scene) -> Call:
    return partial(email_domains.withdraw, scene.tenant, f"{scene.world.slug}.example", acting_as=COMMAND)


def release_identity(scene: Scene) -> Call:
    SocialAccount.objects.create(user_id=scene.bob.id, provider=str(uuid4()), uid="bob")
    return partial(identities.release, scene.tenant, scene.bob.email, acting_as=COMMAND)


def change_provider(scene: Scene) -> Call:
    with tenant_scope(scene.world.tenant_id):
        EmailDomain.objects.update(provider=None)
    wanted = Wanted("https://idp.example", "another", domains=[f"{scene.world.slug}.example"])
    return partial(identity_providers.put, "idp", wanted, acting_as=scene.olga)


def remove_provider(scene: Scene) -> Call:
    with tenant_scope(scene.world.tenant_id):
        provider = IdentityProvider.objects.get()
    return inside(scene, identity_providers.remove, provider, acting_as=scene.olga)


def apply_documents(scene: Scene) -> Call:
    text = (
        "apiVersion: countersign/v1\nkind: Queue\nmetadata: {name: late}\nspec: {members: [], teams: []}\n---\n"
        "apiVersion: countersign/v1\nkind: DataSource\nmetadata: {name: sales}\nspec: {engine: sqlite, url: a.db}\n"
    )
    return inside(scene, applying.apply, list(read(text, "a.yaml")), publish=False, acting_as=COMMAND)


def submit(scene: Scene) -> Call:
    return partial(runs.submit, Request(agent="agent", input={"a": 1}), acting_as=scene.alice)


REFUSED: Final = MissingScope("This key lacks the scope runs:write.", permission="runs:write")

#: Each function by its module and name.
CASES: Final[dict[str, dict[str, Case]]] = {
    "agents.actions.agents.put_draft": {
        "new": Case(lambda scene: put_draft(scene, "new")),
        "changed": Case(lambda scene: put_draft(scene, "agent")),
        "discarded": Case(discard_draft),
        "with grants": Case(lambda scene: put_draft(scene, "new", grants=[{"team": "desk", "permission": "run"}]), 2),
    },
    "agents.actions.versions.create": {"": Case(create_version)},
    "agents.actions.versions.publish": {"": Case(publish)},
    "agents.actions.versions.rollback": {"": Case(roll_back)},
    "agents.actions.sources.put": {
        "new": Case(lambda s: partial(sources.put, "sales", {"engine": "sqlite", "url": "a.db"}, acting_as=s.alice)),
        "changed": Case(change_source),
    },
    "agents.actions.mcp_servers.put": {
        "new": Case(lambda s: partial(mcp_servers.put, "desk", ELSEWHERE_HTTP, acting_as=s.alice)),
        "changed": Case(change_mcp_server),
    },
    "agents.actions.mcp_servers.remove": {"": Case(remove_mcp_server)},
    "agents.actions.tools.put": {
        "new": Case(lambda scene: put_tool(scene, "other")),
        "changed": Case(lambda scene: put_tool(scene, "lookup", timeout_s=1)),
        "with grants": Case(lambda scene: put_tool(scene, "other", grants=[{"team": "desk", "permission": "use"}]), 2),
    },
    "agents.actions.policies.put": {
        "new": Case(lambda s: put_policy(s, "deny")),
        "changed": Case(change_policy),
    },
    "agents.actions.policies.delete": {"": Case(delete_policy)},
    "agents.actions.trying_policies.trial": {
        "": Case(lambda s: partial(trying_policies.trial, "new", policy_of("deny"), acting_as=s.alice))
    },
    "agents.actions.tries.make": {
        "its intent, and what came of it": Case(
            lambda s: partial(tries.make, "lookup", {"key": "a"}, acting_as=s.alice), 2
        ),
    },
    "agents.actions.grants.give": {
        "": Case(lambda s: partial(agent_grants.give, s.agent, "run", s.bob, acting_as=s.alice)),
        "changed": Case(
            lambda s: partial(agent_grants.give, s.tool, "use", s.bob, condition="true", acting_as=s.alice)
        ),
    },
    "agents.actions.grants.apply": {
        "two taken, one given": Case(
            lambda s: inside(
                s, agent_grants.apply, s.agent, [{"team": "desk", "permission": "edit"}], acting_as=s.alice
            ),
            3,
        ),
    },
    "access.grants.add": {"": Case(lambda s: partial(grants.add, s.agent, "run", s.team, acting_as=s.alice))},
    "access.grants.remove": {"": Case(remove_grant)},
    "access.grants.replace_all": {
        "two taken": Case(lambda s: partial(grants.replace_all, s.agent, {}, acting_as=s.alice), 2),
    },
    "agents.actions.runs.submit": {"": Case(submit)},
    "agents.actions.runs.cancel": {"": Case(lambda s: partial(runs.cancel, s.run.id, acting_as=s.alice))},
    "agents.config.applying.apply": {"two documents": Case(apply_documents, 2)},
    "agents.config.applying.export": {"": Case(lambda s: inside(s, applying.export, acting_as=COMMAND))},
    "escalations.actions.decisions.decide": {
        "the decision": Case(decide),
        "one vote of two": Case(lambda scene: decide(scene, 2)),
    },
    "agents.actions.budgets.put": {
        "new": Case(lambda s: put_budget(s, "agents", {"agent": "agent"})),
        "of the tenant's month, which counts already": Case(lambda s: put_budget(s, "all", {"tenant": True})),
        "changed": Case(change_budget),
    },
    "agents.actions.budgets.remove": {
        "of an agent": Case(lambda s: remove_budget(s, {"agent": "agent"})),
        "of the tenant's month": Case(lambda s: remove_budget(s, {"tenant": True})),
    },
    "escalations.actions.queues.put": {
        "new": Case(lambda s: partial(queues.put, "late", {"due_s": 60}, acting_as=s.alice)),
        "changed": Case(lambda s: partial(queues.put, "credit", {"due_s": 60}, acting_as=s.alice)),
    },
    "tenants.actions.tenants.create": {
        "": Case(lambda _: partial(tenants.create, slug=f"t{uuid4().hex[:12]}", acting_as=COMMAND)),
    },
    "tenants.actions.tenants.set_second_factor": {
        "": Case(
            lambda s: partial(
                tenants.set_second_factor, tenant=s.tenant, require=True, trust_provider=False, acting_as=COMMAND
            )
        ),
    },
    "tenants.actions.members.put": {
        "new": Case(
            lambda s: partial(members.put, tenant=s.tenant, email=s.email("new"), role=Role.VIEWER, acting_as=COMMAND)
        ),
        "changed": Case(
            lambda s: partial(members.put, tenant=s.tenant, email=s.email("bob"), role=Role.OWNER, acting_as=COMMAND)
        ),
        "password": Case(
            lambda s: partial(
                members.put,
                tenant=s.tenant,
                email=s.email("bob"),
                role=Role.VIEWER,
                password="a horse that signs twice",
                acting_as=COMMAND,
            )
        ),
    },
    "tenants.actions.members.put_service": {
        "": Case(lambda s: inside(s, members.put_service, name="robot", role=Role.OPERATOR, acting_as=COMMAND)),
    },
    "tenants.actions.members.change_role": {
        "": Case(lambda s: partial(members.change_role, s.membership, Role.REVIEWER, acting_as=COMMAND)),
    },
    "tenants.actions.members.deactivate": {
        "": Case(lambda s: partial(members.deactivate, s.membership, acting_as=COMMAND)),
    },
    "tenants.actions.members.reactivate": {
        "": Case(lambda s: partial(members.reactivate, s.deactivated(), acting_as=COMMAND)),
    },
    "tenants.actions.members.remove": {"": Case(lambda s: partial(members.remove, s.membership, acting_as=COMMAND))},
    "tenants.actions.api_keys.create": {
        "for a member": Case(
            lambda s: partial(
                api_keys.create,
                tenant=s.tenant,
                name="k",
                scopes=["runs:read"],
                member_email=s.email("bob"),
                acting_as=COMMAND,
            )
        ),
        "with an account": Case(
            lambda s: partial(api_keys.create, tenant=s.tenant, name="k", scopes=["runs:read"], acting_as=COMMAND), 2
        ),
    },
    "tenants.actions.api_keys.rotate": {
        "": Case(lambda s: partial(api_keys.rotate, s.key(), overlap=api_keys.MAX_OVERLAP, acting_as=COMMAND)),
    },
    "tenants.actions.api_keys.revoke": {"": Case(lambda s: partial(api_keys.revoke, s.key(), acting_as=COMMAND))},
    "tenants.actions.refused_keys.record": {"": Case(refuse_key)},
    "tenants.actions.invitations.invite": {
        "": Case(
            lambda s: partial(
                invitations.invite,
                tenant_id=s.world.tenant_id,
                email=s.email("new"),
                role=Role.VIEWER,
                acting_as=COMMAND,
            )
        ),
        "again": Case(
            lambda s: (
                s.invited(),
                partial(
                    invitations.invite,
                    tenant_id=s.world.tenant_id,
                    email=s.email("new"),
                    role=Role.OWNER,
                    acting_as=COMMAND,
                ),
            )[1]
        ),
    },
    "tenants.actions.invitations.revoke": {
        "": Case(lambda s: partial(invitations.revoke, s.invited()[0], acting_as=COMMAND)),
    },
    "tenants.actions.invitations.accept": {"": Case(accept)},
    "tenants.actions.staff.add": {
        "": Case(lambda _: partial(staff.add, email=f"{uuid4().hex}@platform.example", acting_as=COMMAND)),
    },
    "tenants.actions.staff.remove": {"with an open access": Case(remove_staff, 2)},
    "tenants.actions.staff.open_access": {
        "": Case(
            lambda s: partial(
                staff.open_access,
                s.tenant,
                email=s.staffer,
                reason="looking for a lost run",
                hours=1,
                acting_as=COMMAND,
            )
        ),
    },
    "tenants.actions.staff.close_access": {"": Case(close_access)},
    "tenants.actions.staff.looked": {"": Case(look)},
    "tenants.actions.staff.looked_at_queues": {
        "": Case(lambda s: partial(staff.looked_at_queues, s.bob, route="admin:index", method="GET", path="/admin/")),
    },
    "tenants.actions.teams.put": {
        "new": Case(
            lambda s: partial(
                teams.put, tenant_id=s.world.tenant_id, slug="new", emails=[s.email("bob")], acting_as=COMMAND
            )
        ),
        "changed": Case(
            lambda s: partial(teams.put, tenant_id=s.world.tenant_id, slug="desk", emails=[], acting_as=COMMAND)
        ),
    },
    "tenants.actions.teams.delete": {"": Case(lambda s: partial(teams.delete, s.spare_team(), acting_as=COMMAND))},
    "vault.actions.secrets.put": {
        "new": Case(lambda s: partial(secrets.put, "token", "long enough", acting_as=s.alice)),
        "changed": Case(change_secret),
    },
    "vault.actions.secrets.remove": {"": Case(remove_secret)},
    "vault.actions.keys.forget": {"": Case(forget_key)},
    "signin.actions.email_domains.allow": {
        "": Case(lambda s: partial(email_domains.allow, s.tenant, f"{uuid4().hex[:12]}.example", acting_as=COMMAND)),
    },
    "signin.actions.email_domains.withdraw": {"": Case(withdraw_domain)},
    "signin.actions.identities.release": {"": Case(release_identity)},
    "signin.actions.identity_providers.put": {
        "new": Case(
            lambda s: partial(
                identity_providers.put, "other", Wanted("https://other.example", "client"), acting_as=s.olga
            )
        ),
        "changed": Case(change_provider),
    },
    "signin.actions.identity_providers.remove": {"": Case(remove_provider)},
    "signin.records.write": {"": Case(lambda s: partial(sign_in_records.write, "login.succeeded", s.bob, None))},
    "access.refusals.record": {
        "": Case(
            lambda s: partial(
                refusals.record, s.alice, REFUSED, route="api:runs", method="POST", code=MissingScope.code
            )
        ),
    },
    "access.refusals.throttled": {"": Case(lambda s: partial(refusals.throttled, s.alice))},
    "audit.search.leave_record": {
        "": Case(lambda s: inside(s, search.leave_record, actor=s.olga.actor, facts={"count": 0})),
    },
}


#: What changes nothing: look-ups, checks, and what is kept ready for the actions.
READS: Final = frozenset(
    {
        "agents.actions.agents.by_slug",
        "agents.actions.agents.digest_of",
        "agents.actions.agents.locked",
        "agents.actions.agents.may_edit",
        "agents.actions.agents.newest",
        "agents.actions.agents.spec_of",
        "agents.actions.checking.refuse",
        "agents.actions.grants.written",
        "agents.actions.policies.by_name",
        "agents.actions.policies.digest_of",
        "agents.actions.policies.problems",
        "agents.actions.mcp_pins.pinned",
        "agents.actions.mcp_pins.raise_at",
        "agents.actions.mcp_pins.state",
        "agents.actions.mcp_pins.states",
        "agents.actions.mcp_servers.by_name",
        "agents.actions.runs.above",
        "agents.actions.runs.requesters",
        "agents.actions.budgets.current",
        "agents.actions.usage.estimate",
        "agents.actions.usage.used",
        "agents.actions.budgets.named",
        "agents.actions.budgets.spec_of",
        "agents.actions.budgets.specs_of",
        "agents.actions.runs.transaction_time",
        "agents.actions.sources.by_name",
        "agents.actions.tools.by_name",
        "agents.actions.tools.specs",
        "agents.actions.tries.became",
        "agents.actions.uses.of_secret",
        "agents.actions.versions.by_number",
        "agents.actions.versions.is_live",
        "agents.actions.versions.preview",
        "agents.actions.versions.spec_of_run",
        "agents.config.applying.plan",
        "access.grants.grant_of",
        "access.grants.held",
        "access.grants.held_by_all",
        "access.grants.of",
        "access.grants.one",
        "access.grants.permissions",
        "access.grants.rows_of",
        "audit.search.payload_of",
        "audit.search.records",
        "escalations.actions.decisions.check",
        "escalations.actions.decisions.given",
        "escalations.actions.edits.check",
        "escalations.actions.queues.spec_of",
        "signin.actions.email_domains.of",
        "signin.actions.identity_providers.all_of_tenant",
        "signin.actions.identity_providers.by_slug",
        "tenants.actions.api_keys.authenticate",
        "tenants.actions.api_keys.ends_at",
        "tenants.actions.api_keys.named",
        "tenants.actions.api_keys.standing",
        "tenants.actions.invitations.find",
        "tenants.actions.members.any_by_email",
        "tenants.actions.members.by_email",
        "tenants.actions.members.by_emails",
        "tenants.actions.members.check_address",
        "tenants.actions.members.hold",
        "tenants.actions.members.principal",
        "tenants.actions.members.tenants_of",
        "tenants.actions.names.check_name",
        "tenants.actions.names.check_slug",
        "tenants.actions.owners.changing_people",
        "tenants.actions.owners.check_another",
        "tenants.actions.staff.by_email",
        "tenants.actions.teams.by_slug",
        "tenants.actions.teams.hold",
        "tenants.actions.tenants.by_id",
        "tenants.actions.tenants.by_slug",
        "vault.actions.keys.lost",
        "vault.actions.keys.outdated",
        "vault.actions.keys.refuse_lost",
        "vault.actions.secrets.kept",
        "vault.actions.secrets.reveal",
    }
)

#: What changes something as a part of an action above, which writes the record.
PARTS: Final = frozenset(
    {
        "agents.actions.runs.record_decision",
        "tenants.actions.belongings.take_belongings",
        "tenants.actions.belongings.withdraw_invitations",
        "tenants.actions.members.set_password",
        "signin.records.together",
    }
)

#: What is tried elsewhere, and where: it reaches beyond one tenant, or needs a browser's request.
ELSEWHERE: Final = {
    "agents.actions.mcp_servers.discover": (
        "agents/actions/test_mcp_servers.py::test_what_cannot_be_recorded_is_not_discovered"
    ),
    "vault.actions.keys.rotate": (
        "vault/actions/test_keys.py::test_each_batch_is_told_in_its_tenants_journal_without_names"
    ),
    "signin.records.succeeded": "journal/test_sign_in.py::test_who_comes_in_is_recorded_or_stays_outside",
    "signin.records.ended": "journal/test_sign_in.py::test_who_leaves_is_recorded_or_stays",
    "signin.records.failed": "journal/test_sign_in.py::test_a_wrong_password_is_recorded_once",
    "signin.records.code_failed": "signin/test_second_factors.py::test_wrong_code_lets_nobody_in_and_leaves_a_record",
    "signin.records.throttled": "signin/test_guesses.py::test_guesses_from_everywhere_come_to_an_end",
    "signin.records.changed": "signin/test_passwords.py::test_change_that_cannot_be_recorded_does_not_happen",
    "signin.records.was_reset": "signin/test_passwords.py::test_link_sets_a_password_once_and_ends_every_session",
    "signin.records.factor_added": (
        "signin/test_second_factors.py::test_setting_up_that_cannot_be_recorded_does_not_happen"
    ),
    "signin.records.factor_removed": (
        "signin/test_second_factors.py::test_removing_the_app_leaves_one_record_and_takes_the_recovery_codes_along"
    ),
    "signin.records.revoked": "signin/test_sessions.py::test_ending_that_cannot_be_recorded_does_not_happen",
}

"""Every action there is that leaves records: how each is called, and how many."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final
from uuid import uuid4

from access import grants, refusals
from access.errors import MissingScope
from agents.actions import grants as agent_grants
from agents.actions import (
    guidance,
    mcp_servers,
    runs,
    sources,
    stopping,
    tries,
    trying_policies,
    trying_rules,
)
from agents.config import applying
from audit import search
from escalations.actions import bulk, delegations, life, queues
from exports.actions import exports
from exports.actions.exports import Asked
from learning.actions import cases, feedback
from notices.actions import preferences
from signin import records as sign_in_records
from signin.actions import email_domains, identity_providers
from signin.actions.identity_providers import Wanted
from tenants.actions import api_keys, invitations, members, saved_views, settings, staff, teams, tenants
from tenants.models import Role
from tenants.principal import COMMAND
from tests.journal import keeping
from tests.journal.preparing import (
    ELSEWHERE_HTTP,
    Call,
    accept,
    appeal,
    apply_documents,
    change_budget,
    change_mcp_server,
    change_policy,
    change_provider,
    change_secret,
    change_source,
    change_view,
    close_access,
    create_version,
    decide,
    delete_policy,
    discard_draft,
    drop_case,
    end_runs,
    export,
    forget_key,
    give_feedback,
    give_feedback_by_link,
    inside,
    keep_case,
    lapse,
    let_agent_go_on,
    look,
    policy_of,
    publish,
    put_budget,
    put_draft,
    put_policy,
    put_tool,
    refuse_key,
    release,
    release_identity,
    remove_budget,
    remove_case,
    remove_delegation,
    remove_grant,
    remove_mcp_server,
    remove_provider,
    remove_secret,
    remove_staff,
    remove_view,
    replay,
    retry,
    roll_back,
    submit,
    take_effect,
    undo,
    webhook,
    withdraw_domain,
)
from tests.journal.scene import Scene
from vault.actions import secrets
from webhooks.actions import endpoints

Json = Any


@dataclass(frozen=True)
class Case:
    """prepare: does what comes before and returns the call itself. records: what it leaves; one for each change."""

    prepare: Callable[[Scene], Call]
    records: int = 1


WEBHOOK: Final[Json] = {"url": "https://erp.example/", "secret": "secret:erp"}
TODAY: Final = datetime.now(UTC)
TOMORROW: Final = datetime.now(UTC) + timedelta(days=1)

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
    "agents.actions.stopping.stop": {
        "": Case(lambda s: partial(stopping.stop, s.agent, reason="It loops.", acting_as=s.alice))
    },
    "agents.actions.stopping.let_go_on": {"": Case(let_agent_go_on)},
    "agents.actions.stopping.end_runs": {"one run": Case(end_runs)},
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
    "agents.actions.trying_rules.trial": {
        "": Case(lambda s: partial(trying_rules.trial, s.agent, changes={"rules": []}, acting_as=s.alice))
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
    "escalations.actions.bulk.decide": {
        "": Case(
            lambda s: partial(
                bulk.decide,
                bulk.Item((asked := s.question()).id, asked.digest),
                "approve",
                reason=None,
                acting_as=s.world.rita,
            )
        ),
    },
    "escalations.actions.answers.undo": {"": Case(undo)},
    "escalations.actions.answers.take_effect": {
        "the answer": Case(take_effect),
        "of somebody who may not any more": Case(lapse),
    },
    "escalations.actions.life.claim": {
        "": Case(lambda s: partial(life.claim, s.question().id, acting_as=s.world.rita))
    },
    "escalations.actions.life.release": {"": Case(release)},
    "escalations.actions.life.assign": {
        "": Case(lambda s: partial(life.assign, s.question().id, s.email("rita"), acting_as=s.olga))
    },
    "escalations.actions.life.snooze": {
        "": Case(lambda s: partial(life.snooze, s.question().id, TOMORROW, acting_as=s.world.rita))
    },
    "escalations.actions.life.note_opened": {
        "": Case(lambda s: inside(s, life.note_opened, s.question(), acting_as=s.world.rita))
    },
    "escalations.actions.delegations.add": {
        "": Case(
            lambda s: partial(delegations.add, to=s.email("rita"), starts_at=TODAY, ends_at=TOMORROW, acting_as=s.alice)
        )
    },
    "escalations.actions.delegations.remove": {"": Case(remove_delegation)},
    "escalations.actions.appeals.make": {"": Case(appeal)},
    "agents.actions.again.retry": {"": Case(retry, 2)},
    "exports.actions.exports.ask": {"": Case(lambda s: partial(exports.ask, Asked("csv"), acting_as=s.olga))},
    "exports.actions.exports.download": {
        "": Case(lambda s: partial(exports.download, export(s).id, first=0, end=0, acting_as=s.olga))
    },
    "exports.actions.exports.withdraw": {"": Case(lambda s: partial(exports.withdraw, export(s).id, acting_as=s.olga))},
    "exports.actions.exports.withdraw_payloads": {
        "": Case(lambda s: inside(s, exports.withdraw_payloads, acting_as=COMMAND))
    },
    "exports.actions.exports.finished": {"": Case(lambda s: inside(s, exports.finished, export(s), {}))},
    "exports.actions.exports.failed": {"": Case(lambda s: inside(s, exports.failed, export(s), "log_broken", "Why."))},
    "exports.actions.exports.let_go": {"": Case(lambda s: inside(s, exports.let_go, export(s)))},
    "webhooks.actions.endpoints.add": {
        "": Case(lambda s: partial(endpoints.add, "erp", "https://erp.example/", [], acting_as=s.olga))
    },
    "webhooks.actions.endpoints.change": {
        "": Case(lambda s: partial(endpoints.change, webhook(s), {"active": False}, acting_as=s.olga))
    },
    "webhooks.actions.endpoints.put": {
        "": Case(lambda s: inside(s, endpoints.put, "erp", WEBHOOK, acting_as=COMMAND)),
    },
    "webhooks.actions.endpoints.rotate": {
        "": Case(lambda s: partial(endpoints.rotate, webhook(s), 60, acting_as=s.olga))
    },
    "webhooks.actions.endpoints.gone": {"": Case(lambda s: inside(s, endpoints.gone, webhook(s)))},
    "webhooks.actions.endpoints.remove": {"": Case(lambda s: partial(endpoints.remove, webhook(s), acting_as=s.olga))},
    "webhooks.actions.endpoints.replay": {"": Case(replay)},
    "learning.actions.cases.keep": {"": Case(keep_case)},
    "learning.actions.cases.keep_run": {
        "": Case(lambda s: partial(cases.keep_run, s.run.id, {"a": 1}, of="agent", acting_as=s.alice))
    },
    "learning.actions.cases.remove": {"": Case(remove_case)},
    "learning.actions.cases.drop_of": {"": Case(drop_case)},
    "learning.actions.feedback.give": {"": Case(give_feedback)},
    "learning.actions.feedback.give_by_link": {"": Case(give_feedback_by_link)},
    "learning.actions.feedback.wish": {"": Case(lambda s: partial(feedback.wish, s.run.id, acting_as=s.alice))},
    "tenants.actions.settings.put": {
        "": Case(lambda s: partial(settings.put, s.tenant.id, undo_s=5, webhook_hosts=["crm.example"], acting_as="a"))
    },
    "notices.actions.preferences.put": {
        "": Case(lambda s: partial(preferences.put, "daily", 8, "UTC", acting_as=s.alice)),
    },
    "agents.actions.guidance.guide": {
        "": Case(lambda s: partial(guidance.guide, s.run.id, "Mind the tax.", acting_as=s.alice))
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
    "tenants.actions.saved_views.save": {
        "new": Case(lambda s: partial(saved_views.save, "runs", "failed", "status=failed", acting_as=s.alice)),
        "changed": Case(change_view),
    },
    "tenants.actions.saved_views.remove": {"": Case(remove_view)},
    "tenants.actions.teams.delete": {"": Case(lambda s: partial(teams.delete, s.spare_team(), acting_as=COMMAND))},
    "retention.actions.holds.ask": {"": Case(keeping.ask_hold)},
    "retention.actions.holds.release": {"": Case(keeping.ask_release)},
    "retention.actions.erasures.ask": {"": Case(keeping.ask_erasure)},
    "retention.actions.terms.ask": {"": Case(keeping.ask_terms)},
    "retention.actions.orders.confirm": {
        "a hold": Case(keeping.confirm_hold),
        "a release": Case(keeping.confirm_release),
        "an erasure": Case(keeping.confirm_erasure),
        "terms": Case(keeping.confirm_terms),
    },
    "retention.actions.orders.refuse": {"": Case(keeping.refuse)},
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
    "audit.search.leave_export_record": {
        "": Case(lambda s: inside(s, search.leave_export_record, actor=s.olga.actor, facts={"from": 0, "to": 1})),
    },
    "audit.search.leave_record": {
        "": Case(lambda s: inside(s, search.leave_record, actor=s.olga.actor, facts={"count": 0})),
    },
}

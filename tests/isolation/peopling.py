"""A tenant with a row in every table that refers to another one."""

from datetime import date

from django.db import connection
from django.utils import timezone

from access import grants
from agents.models import Agent, Run, Tool, ToolBreaker, ToolResult
from db.models import new_id
from db.scope import tenant_scope
from escalations.actions import queues
from escalations.models import Delegation, Escalation, Opened, Vote
from exports.models import Export, Part
from learning.models import Case, Feedback, FeedbackWish
from notices.models import Letter, Notice, Preference
from quotas import reservations
from signin.models import EmailDomain, IdentityProvider
from tenants.actions import api_keys, teams, tenants
from tenants.models import SavedView, User
from tenants.principal import COMMAND
from tests.worlds import LOOKUP, World, world
from vault.actions import secrets
from webhooks.models import Delivery, Endpoint


def peopled() -> World:
    """Make the tenant: people, a team, a key, a secret, an identity provider, an agent with a tool, grants on both, a
    run, a queue, a vote, a budget, a tool's breaker and a kept result.
    """
    made = world()
    made.define("agent", role="Does nothing.", tool_specs={"lookup": LOOKUP})
    run = made.submit("agent", {"a": 1})
    emails = [f"{name}@{made.slug}.example" for name in ("bob", "rita")]
    team = teams.put(tenant_id=made.tenant_id, slug="desk", emails=emails, acting_as=COMMAND)
    api_keys.create(tenant=tenants.by_id(made.tenant_id), name="key", scopes=["admin"], acting_as=COMMAND)
    with tenant_scope(made.tenant_id):
        for obj, permission in ((Agent.objects.get(), "review"), (Tool.objects.get(), "use")):
            for holder in (team, User.objects.get(id=made.bob.user_id)):
                grants.add(obj, permission, holder, acting_as=made.alice)
        queues.put("credit", {"members": emails, "teams": ["desk"]}, acting_as=COMMAND)
        Vote.objects.create(escalation=(asked := ask(run)), user_id=made.rita.user_id, decision="approve")
        Opened.objects.create(escalation=asked, user_id=made.rita.user_id)
        now = timezone.now()
        Delegation.objects.create(user_id=made.rita.user_id, delegate_id=made.bob.user_id, starts_at=now, ends_at=now)
        provider = IdentityProvider.objects.create(slug="idp", name="", issuer="https://idp.example", client_id="c")
        EmailDomain.objects.create(domain=f"{made.slug}.example", provider=provider)
        hook = Endpoint.objects.create(name="crm", url="https://crm.example/")
        Delivery.objects.create(endpoint=hook, type="run.failed", run_id=run.id, created_at=now, status="failed")
        export = Export.objects.create(format="csv", asked_by="engine", created_at=now, status="ready", ready_at=now)
        Part.objects.create(export=export, lane=0, n=0, start=0, size=0, data=b"")
        agent = Agent.objects.get()
        of = {"version_id": run.version_id, "run_id": run.id, "created_at": now}
        Case.objects.create(agent=agent, source="run", tag="edge", kept_by_id=made.rita.user_id, **of)
        Feedback.objects.create(agent_id=agent.id, thumb=1, **of)
        FeedbackWish.objects.create(run_id=new_id())
        letter = Letter.objects.create(user_id=made.rita.user_id, created_at=now)
        told = {"happening_id": new_id(), "escalation_id": asked.id, "kind": "asked", "at": now, "send_at": now}
        Notice.objects.create(user_id=made.rita.user_id, letter=letter, **told)
        Preference.objects.create(user_id=made.rita.user_id)
        SavedView.objects.create(user_id=made.rita.user_id, place="runs", name="mine", query="status=failed")
        secrets.put("token", "long enough", acting_as=COMMAND)
        now = timezone.now()
        ToolBreaker.objects.create(tool=Tool.objects.get(), failures=5, failed_at=now, opened_at=now, retry_at=now)
        ToolResult.objects.create(
            key=new_id().hex * 2, tool_id=new_id(), run_id=run.id, result="1", size=1, truncated=False, expires_at=now
        )
        with connection.cursor() as cursor:
            held = reservations.reservation(1, 1, on=date(2026, 11, 1))
            reservations.reserve(cursor.connection, held, tenant_id=made.tenant_id)
    return made


def ask(run: Run) -> Escalation:
    """Make a question of the run."""
    return Escalation.objects.create(
        id=new_id(),
        run_id=run.id,
        agent_id=run.agent_id,
        seq=1,
        kind="question",
        reason="model_asked",
        allowed=["approve", "reject"],
        digest="0" * 64,
        requester_id=run.principal_id,
        requested_at=timezone.now(),
    )

"""What comes before an action, for the table: each returns the call itself, ready to be made."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID, uuid4

from allauth.socialaccount.models import SocialAccount
from django.utils import timezone

from access import grants
from agents.actions import (
    again,
    agents,
    budgets,
    mcp_servers,
    policies,
    runs,
    sources,
    stopping,
    tools,
    versions,
)
from agents.actions.runs import Request
from agents.config import applying
from agents.config.reading import read
from agents.models import Run
from db.scope import PLATFORM, tenant_scope
from escalations.actions import answers, appeals, decisions, delegations, life, queues
from escalations.actions.decisions import Answer
from escalations.models import Escalation
from exports.models import Export
from learning import links
from learning.actions import cases, feedback
from learning.models import Feedback
from signin.actions import email_domains, identities, identity_providers
from signin.actions.identity_providers import Wanted
from signin.models import EmailDomain, IdentityProvider
from tenants.actions import api_keys, invitations, refused_keys, saved_views, staff
from tenants.models import Membership, Role, User
from tenants.principal import COMMAND, Principal
from tests.journal.scene import SPEC, Scene
from tests.worlds import LOOKUP
from vault.actions import keys, secrets
from vault.models import FieldKey
from webhooks.actions import endpoints
from webhooks.models import Delivery, Endpoint

Json = Any
Call = Callable[[], Any]


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


def let_agent_go_on(scene: Scene) -> Call:
    stopped = stopping.stop(scene.agent, reason="It loops.", acting_as=scene.alice)
    return partial(stopping.let_go_on, stopped, acting_as=scene.alice)


def end_runs(scene: Scene) -> Call:
    stopped = stopping.stop(scene.agent, reason="It loops.", acting_as=scene.alice)
    return partial(stopping.end_runs, stopped, acting_as=scene.alice)


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


def _answered(scene: Scene) -> UUID:
    """A question that Rita has answered, who may still take that back."""
    queues.put("credit", {"members": [scene.email("rita")], "undo_s": 600}, acting_as=scene.alice)
    question = scene.question(queue="credit")
    decisions.decide(question.id, Answer("approve", question.digest), acting_as=scene.world.rita)
    return question.id


def _due(scene: Scene, question: UUID) -> None:
    with tenant_scope(scene.world.tenant_id):
        Escalation.objects.filter(id=question).update(effective_at=timezone.now())


def undo(scene: Scene) -> Call:
    return partial(answers.undo, _answered(scene), acting_as=scene.world.rita)


def take_effect(scene: Scene) -> Call:
    question = _answered(scene)
    _due(scene, question)
    return inside(scene, answers.take_effect, question)


def lapse(scene: Scene) -> Call:
    question = _answered(scene)
    _due(scene, question)
    with tenant_scope(scene.world.tenant_id):
        Membership.objects.filter(user_id=scene.world.rita.user_id).update(role=Role.VIEWER)
    return inside(scene, answers.take_effect, question)


def release(scene: Scene) -> Call:
    question = scene.question()
    life.claim(question.id, acting_as=scene.world.rita)
    return partial(life.release, question.id, acting_as=scene.world.rita)


def _ended(scene: Scene, run: UUID, status: str) -> UUID:
    with tenant_scope(scene.world.tenant_id):
        Run.objects.filter(id=run).update(status=status, ended_at=timezone.now())
    return run


def retry(scene: Scene) -> Call:
    return partial(again.retry, _ended(scene, scene.run.id, "cancelled"), "start", acting_as=scene.alice)


def appeal(scene: Scene) -> Call:
    scene.world.define("judge", role="You judge.", appeal={"allowed": True})
    run = _ended(scene, scene.world.submit("judge", {}).id, "completed")
    return partial(appeals.make, run, "It was read wrongly.", acting_as=scene.alice)


def webhook(scene: Scene) -> UUID:
    """The tenant's webhook."""
    with tenant_scope(scene.world.tenant_id):
        return Endpoint.objects.get().id


def export(scene: Scene) -> Export:
    """The tenant's export."""
    with tenant_scope(scene.world.tenant_id):
        return Export.objects.get()


def replay(scene: Scene) -> Call:
    with tenant_scope(scene.world.tenant_id):
        sent = Delivery.objects.filter(status="failed").values_list("id", flat=True).get()
    return partial(endpoints.replay, webhook(scene), sent, acting_as=scene.olga)


def _rejected(scene: Scene) -> UUID:
    """A question that Rita has said no to."""
    question = scene.question()
    with tenant_scope(scene.world.tenant_id):
        Escalation.objects.filter(id=question.id).update(
            status="decided", decision="reject", kind="output", agent_id=scene.agent.id, queue="credit"
        )
    return question.id


def keep_case(scene: Scene) -> Call:
    return partial(cases.keep, _rejected(scene), acting_as=scene.world.rita)


def remove_case(scene: Scene) -> Call:
    return partial(cases.remove, keep_case(scene)().id, acting_as=scene.world.rita)


def drop_case(scene: Scene) -> Call:
    question = _rejected(scene)
    cases.keep(question, acting_as=scene.world.rita)
    return inside(scene, cases.drop_of, question)


def _completed(scene: Scene) -> Run:
    """The run, as it says what it found; nobody has said what they think of that."""
    run = scene.run
    with tenant_scope(scene.world.tenant_id):
        Feedback.objects.update(run_id=uuid4())
        Run.objects.filter(id=run.id).update(status="completed", ended_at=timezone.now())
    return scene.run


def give_feedback(scene: Scene) -> Call:
    return partial(feedback.give, _completed(scene).id, score=5, acting_as=scene.alice)


def give_feedback_by_link(scene: Scene) -> Call:
    run = _completed(scene)
    assert run.ended_at is not None
    token = links.token(links.link_of(run.tenant_id, run.id, run.ended_at))
    return partial(feedback.give_by_link, token, score=5, now=timezone.now())


def remove_delegation(scene: Scene) -> Call:
    now = timezone.now()
    times: Json = {"starts_at": now, "ends_at": now + timedelta(days=1)}
    made = delegations.add(to=scene.email("rita"), **times, acting_as=scene.alice)
    return partial(delegations.remove, made.id, acting_as=scene.alice)


def change_view(scene: Scene) -> Call:
    saved_views.save("runs", "mine", "status=failed", acting_as=scene.alice)
    return partial(saved_views.save, "runs", "mine", "status=queued", acting_as=scene.alice)


def remove_view(scene: Scene) -> Call:
    made = saved_views.save("runs", "mine", "status=failed", acting_as=scene.alice)
    return partial(saved_views.remove, made.id, acting_as=scene.alice)


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

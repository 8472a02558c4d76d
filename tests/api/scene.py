"""One tenant with one of everything, and all who might come for it."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from agents.models import Agent
from api.v1.urls import urlpatterns
from audit.models import Record
from audit.sealer.loop import sealer
from db import roles, session
from db.scope import tenant_scope
from escalations.models import Delegation
from exports import making
from exports.actions.exports import OPEN
from learning.models import Case
from retention.actions import holds, terms
from retention.actions.holds import Over
from retention.models import Order
from tenants.actions import api_keys, members, tenants
from tenants.models import ApiKey, Membership, Role, User
from tenants.principal import COMMAND, Principal
from tenants.scopes import SCOPES
from tests.agents.engine.conftest import PATIENCE_S
from tests.api.conftest import Answer, Caller, caller, start
from tests.worlds import PAY, World
from webhooks.models import Delivery

Json = Any

#: One that speaks of payments nobody makes.
POLICY = {"applies_to": {"tools": ["pay"]}, "when": "run.turn > 1000", "then": "approve", "required": 2}
#: One that is never reached.
MCP_SERVER: Json = {"transport": "http", "url": "http://127.0.0.1:9/mcp"}


@dataclass
class Scene:
    """A tenant's people with every scope there is, and `ids` of one of everything by the names that routes use."""

    world: World
    by_role: dict[Role, Caller]
    ids: dict[str, str]

    def records(self) -> int:
        """Count what the tenant's journal holds."""
        with tenant_scope(self.world.tenant_id):
            return Record.objects.count()

    def actions_since(self, count: int) -> list[str]:
        """Return what was recorded beyond the first `count` records."""
        with tenant_scope(self.world.tenant_id):
            return list(Record.objects.order_by("id").values_list("action", flat=True)[count:])


def address(name: str, ids: dict[str, str]) -> str:
    """Return the path of a route with these ids."""
    pattern = next(each for each in urlpatterns if each.name == name).pattern
    names = {
        variable: ids[f"{name}/{variable}" if variable == "grant_id" else variable] for variable in pattern.converters
    }
    return reverse(f"api:{name}", kwargs=names)


def body_for(body: Json, of: World) -> Json:
    """Return the body with BOB as the tenant's Bob."""
    if isinstance(body, dict) and body.get("user") == "BOB":
        return {**body, "user": f"bob@{of.slug}.example"}
    return body


def furnish(made: World) -> Scene:
    """Make one of everything in that tenant, and two of what is listed by pages. Somebody drives runs meanwhile."""
    roles = {
        Role.OWNER: made.member("olga", Role.OWNER),
        Role.OPERATOR: made.alice,
        Role.DEVELOPER: made.member("dev", Role.DEVELOPER),
        Role.COMPLIANCE: made.member("cora", Role.COMPLIANCE),
        Role.REVIEWER: made.rita,
        Role.VIEWER: made.bob,
    }
    by_role = {role: caller(made, principal, *SCOPES) for role, principal in roles.items()}
    schema = {"type": "object", "properties": {"key": {"type": "string"}}, "required": ["key"]}
    made.define("echo", role="You echo.", input_schema=schema)
    made.define("payer", role="You pay.", tool_specs={"pay": PAY})
    ids = _work(made, by_role[Role.OPERATOR]) | _people(made, by_role[Role.OWNER]) | _kept(made, roles[Role.COMPLIANCE])
    with session.connect() as connection:
        sealer(connection).seal(made.tenant_id)
    for form in ("csv", "jsonl"):
        ids["export_id"] = exported(by_role[Role.COMPLIANCE], {"format": form})
    with tenant_scope(made.tenant_id):
        ids["record_id"] = str(Record.objects.order_by("id")[0].id)
    return Scene(made, by_role, ids)


def exported(who: Caller, asked: Json) -> str:
    """Have an export made, with whatever else is due; returns its id."""
    answer = who.post("audit/exports", asked)
    assert answer.status == 202, answer.content
    assert who.principal is not None
    export = f"audit/exports/{answer.json['id']}"
    while who.get(export).json["status"] in OPEN:
        with session.connect() as raw:
            sealer(raw).seal(who.principal.tenant_id)
        with roles.dispatch(), connection.cursor() as cursor:
            cursor.execute(  # not of one that whoever drives runs has made meanwhile: due again when it is too old
                "UPDATE exports_export SET next_at = now() WHERE id = %s AND next_at < now() + interval '1 day'",
                [answer.json["id"]],
            )
        while (hold := making.take()) is not None:
            making.work(hold, turn_s=600)
    return str(answer.json["id"])


def _work(made: World, alice: Caller) -> dict[str, str]:
    runs = [start(alice, "payer", input={"to": made.slug}, metadata={"case": "one"}) for _ in range(2)]
    for run in runs:
        _until_it_asks(made, run)
    [escalation] = alice.get(f"runs/{runs[0]}").json["escalations"]
    bob = f"bob@{made.slug}.example"
    on_agent = alice.post("agents/echo/grants", {"user": bob, "permission": "review"}).json["id"]
    on_tool = alice.post("tools/pay/grants", {"user": bob, "permission": "use"}).json["id"]
    for name in ("token", "other"):
        assert alice.put(f"secrets/{name}", {"value": "long enough"}).status == 204
    for name in ("large", "larger"):
        assert alice.put(f"policies/{name}", {"spec": POLICY}, If_None_Match="*").status == 201
    for name in ("first", "second"):
        assert alice.put(f"queues/{name}", {"spec": {"due_s": 60}}, If_None_Match="*").status == 201
    for name in ("desk", "shelf"):
        assert alice.put(f"mcp_servers/{name}", {"spec": MCP_SERVER}, If_None_Match="*").status == 201
    for name, of in (("everything", {"tenant": True}), ("echoes", {"agent": "echo"})):
        spec = {"of": of, "window": "month", "usd": "100000.00"}
        assert alice.put(f"budgets/{name}", {"spec": spec}, If_None_Match="*").status == 201
    return {
        "run_id": str(runs[0]),
        "escalation_id": escalation,
        "delegation_id": _delegation(made),
        "slug": "echo",
        "case_id": _case(made, runs[0]),
        "number": "1",
        "tool_name": "pay",
        "server_name": "desk",
        "secret_name": "token",
        "policy_name": "large",
        "queue_slug": "first",
        "budget_name": "everything",
        "agent-grant/grant_id": on_agent,
        "tool-grant/grant_id": on_tool,
    }


def _case(made: World, run: UUID) -> str:
    """Something learnt about the agent that is named."""
    with tenant_scope(made.tenant_id):
        agent = Agent.objects.get(slug="echo")
        facts = {"version_id": agent.live_id, "run_id": run, "kept_by_id": made.alice.user_id}
        kept = Case.objects.create(agent=agent, source="run", tag="edge", created_at=timezone.now(), **facts)
        return str(kept.id)


def _delegation(made: World) -> str:
    """Somebody neither reviewer nor operator nor owner of the roles stands in for somebody else."""
    mo, max_ = (made.member(name, Role.REVIEWER) for name in ("mo", "max"))
    now = timezone.now()
    with tenant_scope(made.tenant_id):
        times = {"starts_at": now, "ends_at": now + timedelta(days=1)}
        return str(Delegation.objects.create(user_id=mo.user_id, delegate_id=max_.user_id, **times).id)


def _until_it_asks(made: World, run: UUID) -> None:
    until = time.monotonic() + PATIENCE_S
    while made.run(run).waiting_for != "decision":
        assert time.monotonic() < until, made.actions(run)
        time.sleep(0.02)


def _people(made: World, owner: Caller) -> dict[str, str]:
    mia = made.member("mia", Role.REVIEWER)
    for slug in ("echo", "desk"):
        answer = owner.put(f"teams/{slug}", {"members": [f"mia@{made.slug}.example"]}, If_None_Match="*")
        assert answer.status == 201, answer.content
        provider = {"issuer": "https://login.example", "client_id": made.slug}
        assert owner.put(f"identity-providers/{slug}", provider, If_None_Match="*").status == 201
    for name in ("ida", "ina"):
        invited = owner.post("invitations", {"email": f"{name}@{made.slug}.example", "role": "viewer"})
    for name in ("machine", "robot"):
        service = owner.post("service-accounts", {"name": name, "role": "viewer"})
    for name in ("crm", "erp"):
        webhook = owner.post("webhooks", {"name": name, "url": "https://crm.example/", "events": ["run.failed"]})
    key = owner.post("keys", {"name": "k", "scopes": ["runs:read"], "service_account": service.json["id"]})
    return {
        "member_id": str(mia.user_id),
        "invitation_id": invited.json["id"],
        "account_id": service.json["id"],
        "key_id": key.json["id"],
        "webhook_id": webhook.json["id"],
        "delivery_id": _delivery(made, webhook.json["id"]),
    }


def _delivery(made: World, webhook: str) -> str:
    """Something that was sent."""
    with tenant_scope(made.tenant_id):
        times = {"created_at": timezone.now(), "next_at": None}
        sent = Delivery.objects.create(endpoint_id=UUID(webhook), type="run.failed", run_id=uuid4(), **times)
        return str(sent.id)


def _kept(made: World, cora: Principal) -> dict[str, str]:
    """What Cora asked for, and nobody has confirmed yet. Nobody is a subject here."""
    hold = holds.ask(Over(agent="echo"), "a lawsuit", acting_as=cora)
    change = terms.ask({"runs": 400}, "policy", acting_as=cora)
    with tenant_scope(made.tenant_id):
        asked = {"kind": "erasure", "reason": "asked by letter", "asked_by_id": cora.user_id}
        erasure = Order.objects.create(**asked, asked_at=timezone.now(), digests=["0" * 64])
    return {"hold_id": str(hold.id), "erasure_id": str(erasure.id), "change_id": str(change.id)}


def nonexistent(ids: dict[str, str]) -> dict[str, str]:
    """Return ids of the same shapes that nobody has."""
    named = {"slug": "nobody", "number": "7", "tool_name": "nothing", "secret_name": "none"}
    named |= {"policy_name": "no", "budget_name": "none", "queue_slug": "none"}
    return {name: named.get(name) or str(uuid4()) for name in ids}


# --- who is let in nowhere, whatever they name --------------------------------------------------------------------


def without_key(scene: Scene) -> Caller:
    """Nobody."""
    return Caller(None, None)


def with_cookie_alone(scene: Scene) -> Caller:
    """The operator, signed in to the pages: a cookie opens nothing here."""
    browser = Client()
    browser.force_login(User.objects.get(id=scene.world.alice.user_id), "signin.backend.PeopleBackend")
    return Browser(None, None, "; ".join(f"{name}={morsel.value}" for name, morsel in browser.cookies.items()))


@dataclass
class Browser(Caller):
    """Somebody who calls with cookies."""

    cookies: str

    def __call__(self, method: str, path: str, body: Json = None, raw: bytes | None = None, **headers: Any) -> Answer:
        """Make the call with them."""
        return super().__call__(method, path, body, raw, Cookie=self.cookies, **headers)


def with_made_up_key(scene: Scene) -> Caller:
    """Somebody who guesses."""
    return Caller(None, "cs_" + "A" * 43)


def _key(scene: Scene, principal: Principal) -> ApiKey:
    with tenant_scope(scene.world.tenant_id):
        return ApiKey.objects.filter(principal_id=principal.user_id).latest("created_at")


def _somebody(scene: Scene) -> tuple[Principal, Caller, Membership]:
    person = scene.world.member(f"p{uuid4().hex[:8]}", Role.OPERATOR)
    key = caller(scene.world, person, *SCOPES)
    assert key.get("runs").status == 200
    with tenant_scope(scene.world.tenant_id):
        return person, key, Membership.objects.get(user_id=person.user_id)


def with_revoked_key(scene: Scene) -> Caller:
    """An operator's key, revoked."""
    person, key, _ = _somebody(scene)
    api_keys.revoke(_key(scene, person), acting_as=COMMAND)
    return key


def with_expired_key(scene: Scene) -> Caller:
    """An operator's key, run out."""
    person, key, _ = _somebody(scene)
    with tenant_scope(scene.world.tenant_id):
        ApiKey.objects.filter(principal_id=person.user_id).update(expires_at=timezone.now() - timedelta(seconds=1))
    return key


def deactivated_everywhere(scene: Scene) -> Caller:
    """An operator whose account is closed."""
    person, key, _ = _somebody(scene)
    User.objects.filter(id=person.user_id).update(is_active=False)
    return key


def deactivated_here(scene: Scene) -> Caller:
    """An operator whose place in the tenant is."""
    _, key, membership = _somebody(scene)
    members.deactivate(membership, acting_as=COMMAND)
    return key


def removed(scene: Scene) -> Caller:
    """One who was an operator."""
    _, key, membership = _somebody(scene)
    members.remove(membership, acting_as=COMMAND)
    return key


def with_narrow_key(scene: Scene) -> Caller:
    """The owner's key, with a scope that opens none of the routes."""
    return caller(scene.world, Principal(scene.world.tenant_id, owner_id(scene), Role.OWNER), "runs:on_behalf_of")


def owner_id(scene: Scene) -> UUID:
    """Return the owner's id."""
    principal = scene.by_role[Role.OWNER].principal
    assert principal is not None
    return principal.user_id


@dataclass(frozen=True, slots=True)
class Refused:
    """What somebody finds everywhere: status and code, and what each try leaves in the tenant's journal."""

    who: Callable[[Scene], Caller]
    status: int
    code: str
    leaves: tuple[str, ...] = ()


REFUSED = (
    Refused(without_key, 401, "no_key"),
    Refused(with_cookie_alone, 401, "no_key"),
    Refused(with_made_up_key, 401, "bad_key"),
    Refused(with_revoked_key, 401, "bad_key", ("key.refused",)),
    Refused(with_expired_key, 401, "bad_key", ("key.refused",)),
    Refused(deactivated_everywhere, 401, "bad_key", ("key.refused",)),
    Refused(deactivated_here, 401, "bad_key", ("key.refused",)),
    Refused(removed, 401, "bad_key", ("key.refused",)),
    Refused(with_narrow_key, 403, "missing_scope", ("access.refused",)),
)


def service(scene: Scene, role: Role) -> Caller:
    """A service's account of that role, with a key that holds every scope."""
    tenant = tenants.by_id(scene.world.tenant_id)
    with tenant_scope(tenant.id):
        account = members.put_service(name=f"service {role}", role=role, acting_as=COMMAND)
    _, key = api_keys.create(tenant=tenant, name="s", scopes=SCOPES, member_email=account.email, acting_as=COMMAND)
    return Caller(Principal(tenant.id, account.id, role, is_service=True), key)

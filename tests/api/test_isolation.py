"""Alice (allowed), Bob (same tenant, not allowed), Carol (another tenant), at every route and method there is.

The routes come from the URLconf: one that the table below does not know fails.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal
from uuid import UUID, uuid4

import pytest
from django.urls import reverse

from agents.engine.driver import Driver
from agents.models import Run
from api.v1.urls import urlpatterns
from audit.models import Record
from db.scope import tenant_scope
from tenants.models import Role
from tenants.scopes import SCOPES
from tests.api.conftest import Answer, Caller, caller, start
from tests.worlds import LOOKUP, PAY, World

Settles = Callable[[World, UUID], Run]
Json = Any

METHODS = ("get", "post", "put", "patch", "delete")
SPEC = {"role": "You file.", "model": {"id": "claude-opus-4-7"}, "tools": []}
EVENT_STREAM = {"Accept": "text/event-stream"}


@dataclass(frozen=True)
class Route:
    """How a route and method is tried.

    alice: the status she gets. elsewhere: what Carol finds with Alice's ids: `missing` (404 like for ids nobody has),
    `empty` (her own tenant's empty list), `own` (her own tenant's thing of that name), `same` (what the
    installation shows everybody alike), `theirs` (a list of her own tenant's), `refused` (what her role does not allow
    in her own tenant either). reads: whether a viewer may. owner: whether Alice has to be one.
    """

    alice: int
    elsewhere: Literal["missing", "empty", "own", "same", "theirs", "refused"] = "missing"
    reads: bool = False
    owner: bool = False
    body: Json = None
    headers: dict[str, str] = field(default_factory=dict)


ROUTES: dict[tuple[str, str], Route] = {
    ("runs", "get"): Route(200, "empty", reads=True),
    ("runs", "post"): Route(202, body={"agent": "echo", "input": {"key": "a"}}),
    ("run", "get"): Route(200, reads=True),
    ("run-events", "get"): Route(200, reads=True),
    ("run-stream", "get"): Route(200, reads=True, headers=EVENT_STREAM),
    ("run-cancel", "post"): Route(202),
    ("escalations", "get"): Route(200, "empty"),
    ("escalation", "get"): Route(200),
    ("escalation-decide", "post"): Route(412, body={"decision": "approve", "digest": "0" * 64}),
    ("agents", "get"): Route(200, "empty", reads=True),
    ("agent", "get"): Route(200, reads=True),
    ("agent", "put"): Route(200, "own", body={"spec": SPEC}, headers={"If_Match": "*"}),
    ("agent-versions", "get"): Route(200, reads=True),
    ("agent-versions", "post"): Route(201),
    ("agent-version", "get"): Route(200, reads=True),
    ("agent-publish", "post"): Route(200),
    ("agent-rollback", "post"): Route(409),
    ("agent-preview", "get"): Route(200, reads=True),
    ("agent-preview", "post"): Route(200, reads=True, body={"spec": SPEC}),
    ("agent-grants", "get"): Route(200, reads=True),
    ("agent-grants", "post"): Route(201, body={"user": "BOB", "permission": "review"}),
    ("agent-grant", "delete"): Route(204),
    ("models", "get"): Route(200, "same", reads=True),
    ("tools", "get"): Route(200, "empty", reads=True),
    ("tool", "get"): Route(200, reads=True),
    ("tool", "put"): Route(200, "own", body={"spec": LOOKUP}, headers={"If_Match": "*"}),
    ("tool-grants", "get"): Route(200, reads=True),
    ("tool-grants", "post"): Route(201, body={"user": "BOB", "permission": "use"}),
    ("tool-grant", "delete"): Route(204),
    ("secrets", "get"): Route(200, "empty", reads=True),
    ("secret", "delete"): Route(204),
    ("secret", "put"): Route(204, "own", body={"value": "long enough"}),
    ("members", "get"): Route(200, "theirs"),
    ("member", "get"): Route(200),
    ("member", "put"): Route(200, owner=True, body={"role": "viewer", "active": True}, headers={"If_Match": "*"}),
    ("member", "delete"): Route(204, owner=True),
    ("invitations", "get"): Route(200, "refused", owner=True),
    ("invitations", "post"): Route(201, "refused", owner=True, body={"email": "i@new.example", "role": "viewer"}),
    ("invitation", "get"): Route(200, owner=True),
    ("invitation", "delete"): Route(204, owner=True),
    ("teams", "get"): Route(200, "empty"),
    ("team", "get"): Route(200),
    ("team", "put"): Route(200, "refused", owner=True, body={"members": []}, headers={"If_Match": "*"}),
    ("team", "delete"): Route(204, owner=True),
    ("keys", "get"): Route(200, "refused", owner=True),
    ("keys", "post"): Route(201, "refused", owner=True, body={"name": "k", "scopes": ["runs:read"]}),
    ("key", "get"): Route(200, owner=True),
    ("key", "delete"): Route(204, owner=True),
    ("key-rotate", "post"): Route(201, owner=True),
    ("service-accounts", "get"): Route(200, "empty"),
    ("service-accounts", "post"): Route(201, "refused", owner=True, body={"name": "s", "role": "developer"}),
    ("service-account", "get"): Route(200),
    ("service-account", "put"): Route(
        200, owner=True, body={"role": "viewer", "active": True}, headers={"If_Match": "*"}
    ),
    ("service-account", "delete"): Route(204, owner=True),
    ("staff-access", "get"): Route(200, "refused", owner=True),
}


@dataclass
class Scene:
    """Alice's tenant with one of everything: `ids` by the names that routes use."""

    acme: World
    alice: Caller
    owner: Caller
    ids: dict[str, str]

    def records(self) -> int:
        """Count what the tenant's journal holds."""
        with tenant_scope(self.acme.tenant_id):
            return Record.objects.count()

    def call(self, who: Caller, name: str, method: str, ids: dict[str, str] | None = None) -> Answer:
        """Try a route."""
        route, wanted = ROUTES[name, method], ids or self.ids
        pattern = next(each for each in urlpatterns if each.name == name).pattern
        names = {
            variable: wanted[f"{name}/{variable}" if variable == "grant_id" else variable]
            for variable in pattern.converters
        }
        body = route.body
        if isinstance(body, dict) and body.get("user") == "BOB":
            body = {**body, "user": f"bob@{self.acme.slug}.example"}
        return who(method.upper(), reverse(f"api:{name}", kwargs=names), body, None, **route.headers)


@pytest.fixture
def scene(acme: World, alice: Caller, echo: str, driver: Driver, settles: Settles) -> Scene:
    """Make one of everything."""
    acme.define("payer", role="You pay.", tool_specs={"pay": PAY})
    run = start(alice, "payer", input={"to": acme.slug})
    assert settles(acme, run).waiting_for == "decision"
    [escalation] = alice.get(f"runs/{run}").json["escalations"]
    bob = f"bob@{acme.slug}.example"
    on_agent = alice.post("agents/echo/grants", {"user": bob, "permission": "review"}).json["id"]
    assert alice.put("secrets/token", {"value": "long enough"}).status == 204
    on_tool = alice.post("tools/pay/grants", {"user": bob, "permission": "use"}).json["id"]
    ids = {
        "run_id": str(run),
        "escalation_id": escalation,
        "slug": "echo",
        "number": "1",
        "tool_name": "pay",
        "secret_name": "token",
        "agent-grant/grant_id": on_agent,
        "tool-grant/grant_id": on_tool,
    }
    owner = caller(acme, acme.member("olga", Role.OWNER), *SCOPES)
    return Scene(acme, alice, owner, ids | peopled(acme, owner))


def peopled(acme: World, owner: Caller) -> dict[str, str]:
    """Make what only an owner makes; return the ids."""
    mia = acme.member("mia", Role.REVIEWER)
    assert owner.put("teams/echo", {"members": [f"mia@{acme.slug}.example"]}, If_None_Match="*").status == 201
    invited = owner.post("invitations", {"email": f"ina@{acme.slug}.example", "role": "viewer"})
    service = owner.post("service-accounts", {"name": "robot", "role": "viewer"})
    key = owner.post("keys", {"name": "k", "scopes": ["runs:read"], "service_account": service.json["id"]})
    return {
        "member_id": str(mia.user_id),
        "invitation_id": invited.json["id"],
        "account_id": service.json["id"],
        "key_id": key.json["id"],
    }


def nonexistent(ids: dict[str, str]) -> dict[str, str]:
    """Return ids of the same shapes that nobody has."""
    named = {"slug": "nobody", "number": "7", "tool_name": "nothing", "secret_name": "none"}
    return {name: named.get(name) or str(uuid4()) for name in ids}


def test_every_route_and_method_is_tried() -> None:
    routed = {
        (str(pattern.name), method)
        for pattern in urlpatterns
        for method in METHODS
        if hasattr(pattern.callback.view_class, method)  # type: ignore[attr-defined]
    }

    assert routed == ROUTES.keys()


def test_alice_is_let_in_everywhere(scene: Scene) -> None:
    # Reads and refusals first, so that no route works on what another took away.
    order = sorted(ROUTES, key=lambda key: (key[1] == "delete", key[0] == "run-cancel", key[1] == "put"))
    alone = caller(scene.acme, scene.acme.rita)
    scene.acme.grant("review", scene.acme.agent("payer"), scene.acme.rita)

    for name, method in order:
        allowed = scene.owner if ROUTES[name, method].owner else scene.alice
        who = alone if name == "escalation-decide" else allowed
        answer = scene.call(who, name, method) if name != "run-stream" else None
        if answer is not None:
            expected = {ROUTES[name, method].alice} | ({200} if (name, method) == ("agent-versions", "post") else set())
            assert answer.status in expected, (name, method, answer.content)


def test_bob_is_kept_out_by_his_key(scene: Scene) -> None:
    narrow = caller(scene.acme, scene.acme.alice, "usage:read")
    before = scene.records()

    for name, method in ROUTES:
        answer = scene.call(narrow, name, method)
        assert (answer.status, answer.code) == (403, "missing_scope"), (name, method, answer.content)
    assert scene.records() == before + len(ROUTES)  # one `access.refused` each


def test_bob_is_kept_out_by_his_role(scene: Scene) -> None:
    bob = caller(scene.acme, scene.acme.bob, *SCOPES)
    before = scene.records()

    for (name, method), route in ROUTES.items():
        if not route.reads:
            answer = scene.call(bob, name, method)
            assert answer.status == 403, (name, method, answer.content)
            assert answer.code in {"forbidden", "missing_grant"}
    assert scene.records() == before + sum(not route.reads for route in ROUTES.values())


def test_carol_cannot_tell_what_is_not_hers_from_what_is_not(scene: Scene, carol: Caller) -> None:
    before = scene.records()

    for (name, method), route in ROUTES.items():
        answer = scene.call(carol, name, method)
        if route.elsewhere == "missing":
            other = scene.call(carol, name, method, nonexistent(scene.ids))
            assert answer.status == other.status == 404, (name, method, answer.content)
            assert answer.content == other.content
            assert told(answer) == told(other)
        elif route.elsewhere == "empty":
            assert answer.json == {"results": [], "next": None}, (name, method)
        elif route.elsewhere == "theirs":
            assert answer.json["results"], (name, method)
            assert scene.acme.slug.encode() not in answer.content
        elif route.elsewhere == "refused":
            assert answer.status == 403, (name, method, answer.content)
        elif route.elsewhere == "same":
            assert answer.content == scene.call(scene.alice, name, method).content
        else:
            assert answer.status in {204, 412}, (name, method, answer.content)
    assert scene.records() == before


def told(answer: Answer) -> set[tuple[str, str]]:
    """Return the headers, but for how many requests Carol has left, which grows fewer with each."""
    return {(name, value) for name, value in answer.headers.items() if name != "RateLimit"}


def test_nobody_is_let_in_without_a_key(scene: Scene, nobody: Caller) -> None:
    for name, method in ROUTES:
        answer = scene.call(nobody, name, method)
        assert (answer.status, answer.code) == (401, "no_key"), (name, method)
        assert answer.content == scene.call(nobody, name, method, nonexistent(scene.ids)).content

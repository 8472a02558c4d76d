"""Every route and method of the interface, by everybody: what each finds, to the byte.

The routes come from the URLconf: one that the table below does not know fails, and so does a method beside its own.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import quote

import pytest
from django.db import connections
from pytest_django.plugin import DjangoDbBlocker

from agents.engine.driver import Driver
from api.v1.urls import urlpatterns
from audit.models import Record
from db.scope import tenant_scope
from tenants.models import Role
from tenants.scopes import SCOPES
from tests.agents.engine.serving import serving
from tests.api.conftest import Answer, Caller, caller
from tests.api.scene import (
    MCP_SERVER,
    POLICY,
    REFUSED,
    Refused,
    Scene,
    address,
    body_for,
    furnish,
    nonexistent,
    service,
)
from tests.worlds import LOOKUP, world

Json = Any

METHODS = ("get", "post", "put", "patch", "delete", "options", "trace")
SPEC = {"role": "You file.", "model": {"id": "claude-opus-4-7"}, "tools": []}
EVENT_STREAM = {"Accept": "text/event-stream"}
ANY_STATE = {"If_Match": "*"}
MEMBER = {"role": "viewer", "active": True}

#: Role by letter, in the order of what they may.
LETTERS = {
    "V": Role.VIEWER,
    "R": Role.REVIEWER,
    "C": Role.COMPLIANCE,
    "D": Role.DEVELOPER,
    "O": Role.OPERATOR,
    "W": Role.OWNER,
}


@dataclass(frozen=True)
class Route:
    """How a route and method is tried.

    roles: who may without any grant, by `LETTERS`; everybody else of the tenant gets 403, those `blind` to it 404.
    status: what those who may get. elsewhere: what the owner of another tenant finds with these ids: `missing` (404
    like for ids nobody has), `list` (her own tenant's list), `own` (her own tenant's thing of that name, changed or
    refused for its state), `same` (what the installation shows everybody alike). filters: queries that name things of
    this tenant; `{}` becomes the tenant's slug.
    """

    roles: str
    status: int
    elsewhere: Literal["missing", "list", "own", "same"] = "missing"
    blind: str = ""
    body: Json = None
    headers: dict[str, str] = field(default_factory=dict)
    filters: tuple[str, ...] = ()


BUDGET = {"of": {"tenant": True}, "window": "month", "usd": "100000.00"}
NOWHERE = {"id": "00000000-0000-7000-8000-000000000000", "digest": "0" * 64}
AWAY = {"to": "nobody@nowhere.example", "from": "2030-01-01T00:00:00Z", "until": "2030-01-02T00:00:00Z"}
PROVIDER = {"issuer": "https://login.example", "client_id": "countersign"}
SETTINGS: Json = {"undo_s": 0, "webhook_hosts": None}
ROUTES: dict[tuple[str, str], Route] = {
    ("runs", "get"): Route("VRCDOW", 200, "list", filters=("agent=payer", "metadata.case=one", "status=waiting")),
    ("runs", "post"): Route("OW", 202, "own", body={"agent": "echo", "input": {"key": "a"}}),
    ("run", "get"): Route("VRCDOW", 200),
    ("run-events", "get"): Route("VRCDOW", 200),
    ("run-stream", "get"): Route("VRCDOW", 200, headers=EVENT_STREAM),
    ("run-cancel", "post"): Route("OW", 202, blind=""),
    ("run-retry", "post"): Route("OW", 409, body={"from": "start"}),
    ("run-appeal", "post"): Route("OW", 409, body={"reason": "It was read wrongly."}),
    ("run-feedback", "get"): Route("VRCDOW", 200),
    ("run-feedback", "post"): Route("DOW", 409, body={"thumb": "up"}),
    ("run-guidance", "post"): Route("OW", 202, body={"message": "Mind the tax."}),
    ("escalations", "get"): Route("RCDOW", 200, "list", filters=("status=open", "kind=tool_call", "queue=credit")),
    ("escalation", "get"): Route("COW", 200, blind="RD"),
    ("escalation-decide", "post"): Route("W", 412, blind="RD", body={"decision": "approve", "digest": "0" * 64}),
    ("escalations-decide", "post"): Route("ROW", 200, "same", body={"decision": "reject", "items": [NOWHERE]}),
    ("escalation-claim", "post"): Route("W", 200, blind="RD"),
    ("escalation-release", "post"): Route("OW", 200, blind="RD"),
    ("escalation-assign", "post"): Route("OW", 422, blind="RD", body={"to": "nobody@nowhere.example"}),
    ("escalation-snooze", "post"): Route("W", 422, blind="RD", body={"until": "2000-01-01T00:00:00Z"}),
    ("escalation-undo", "post"): Route("OW", 409, blind="RD"),
    ("delegations", "get"): Route("ROW", 200, "list"),
    ("delegations", "post"): Route("ROW", 422, "own", body=AWAY),
    ("delegation", "delete"): Route("OW", 204, blind="R"),
    ("agents", "get"): Route("VRCDOW", 200, "list"),
    ("agent", "get"): Route("VRCDOW", 200),
    ("agent", "put"): Route("OW", 200, "own", body={"spec": SPEC}, headers=ANY_STATE),
    ("agent-versions", "get"): Route("VRCDOW", 200),
    ("agent-versions", "post"): Route("OW", 201),
    ("agent-version", "get"): Route("VRCDOW", 200),
    ("agent-publish", "post"): Route("OW", 200),
    ("agent-rollback", "post"): Route("OW", 409),
    ("agent-stop", "post"): Route("OW", 200, body={"reason": "It loops.", "end_runs": True}),
    ("agent-resume", "post"): Route("OW", 200),
    ("agent-preview", "get"): Route("VRCDOW", 200),
    ("agent-preview", "post"): Route("VRCDOW", 200, body={"spec": SPEC}),
    ("agent-try", "post"): Route("OW", 200, body={"changes": {"escalate_when": "true"}, "runs": 1}),
    ("agent-grants", "get"): Route("CDOW", 200),
    ("agent-grants", "post"): Route("OW", 201, body={"user": "BOB", "permission": "review"}),
    ("agent-grant", "delete"): Route("OW", 204),
    ("agent-estimate", "post"): Route("CDOW", 200, body={"runs_per_day": 3}),
    ("agent-cases", "get"): Route("VRCDOW", 200, filters=("tag=edge",)),
    ("agent-cases", "post"): Route("ROW", 404, body={"escalation": NOWHERE["id"]}),
    ("agent-case", "get"): Route("VRCDOW", 200),
    ("agent-case", "delete"): Route("OW", 204),
    ("agent-feedback", "get"): Route("VRCDOW", 200),
    ("usage", "get"): Route("CDOW", 200, "list", filters=("by=agent", "by=user", "by=model")),
    ("budgets", "get"): Route("CDOW", 200, "list"),
    ("budget", "get"): Route("CDOW", 200),
    ("budget", "put"): Route("OW", 200, "own", body={"spec": BUDGET}, headers=ANY_STATE),
    ("budget", "delete"): Route("OW", 204),
    ("models", "get"): Route("VRCDOW", 200, "same"),
    ("tools", "get"): Route("VRCDOW", 200, "list"),
    ("tool", "get"): Route("VRCDOW", 200),
    ("tool", "put"): Route("OW", 200, "own", body={"spec": LOOKUP}, headers=ANY_STATE),
    ("tool-try", "post"): Route("OW", 200, body={"arguments": {"amount": 1, "to": "nobody"}, "confirm": True}),
    ("tool-grants", "get"): Route("CDOW", 200),
    ("tool-grants", "post"): Route("OW", 201, body={"user": "BOB", "permission": "use"}),
    ("tool-grant", "delete"): Route("OW", 204),
    ("policies", "get"): Route("VRCDOW", 200, "list"),
    ("policy", "get"): Route("VRCDOW", 200),
    ("policy", "put"): Route("OW", 200, "own", body={"spec": POLICY}, headers=ANY_STATE),
    ("policy", "delete"): Route("OW", 204),
    ("queues", "get"): Route("CDOW", 200, "list"),
    ("queue", "get"): Route("CDOW", 200),
    ("queue", "put"): Route("OW", 200, "own", body={"spec": {"due_s": 120}}, headers=ANY_STATE),
    ("policy-try", "post"): Route("OW", 200, body={"runs": 1}),
    ("mcp-servers", "get"): Route("VRCDOW", 200, "list"),
    ("mcp-server", "get"): Route("VRCDOW", 200),
    ("mcp-server", "put"): Route("OW", 200, "own", body={"spec": MCP_SERVER}, headers=ANY_STATE),
    ("mcp-server", "delete"): Route("OW", 204),
    ("mcp-server-discover", "post"): Route("OW", 409),
    ("secrets", "get"): Route("VRCDOW", 200, "list"),
    ("secret", "delete"): Route("OW", 204),
    ("secret", "put"): Route("OW", 204, "own", body={"value": "long enough"}),
    ("members", "get"): Route("CDOW", 200, "list", filters=("role=operator", "active=true")),
    ("member", "get"): Route("CDOW", 200),
    ("member", "put"): Route("W", 200, body=MEMBER, headers=ANY_STATE),
    ("member", "delete"): Route("W", 204),
    ("my-notices", "get"): Route("RCDOW", 200, "same"),
    ("my-notices", "put"): Route("RCDOW", 422, "own", body={"mode": "daily", "time_zone": "Here"}),
    ("invitations", "get"): Route("W", 200, "list"),
    ("invitations", "post"): Route("W", 201, "own", body={"email": "i@new.example", "role": "viewer"}),
    ("invitation", "get"): Route("W", 200),
    ("invitation", "delete"): Route("W", 204),
    ("teams", "get"): Route("CDOW", 200, "list"),
    ("team", "get"): Route("CDOW", 200),
    ("team", "put"): Route("W", 200, "own", body={"members": []}, headers=ANY_STATE),
    ("team", "delete"): Route("W", 204),
    ("keys", "get"): Route("DW", 200, "list"),
    ("keys", "post"): Route("DW", 201, "own", body={"name": "k", "scopes": ["runs:read"]}),
    ("key", "get"): Route("W", 200, blind="D"),
    ("key", "delete"): Route("W", 204, blind="D"),
    ("key-rotate", "post"): Route("W", 201, blind="D"),
    ("service-accounts", "get"): Route("CDOW", 200, "list"),
    ("service-accounts", "post"): Route("W", 201, "own", body={"name": "s", "role": "developer"}),
    ("service-account", "get"): Route("CDOW", 200),
    ("service-account", "put"): Route("W", 200, body=MEMBER, headers=ANY_STATE),
    ("service-account", "delete"): Route("W", 204),
    ("audit-records", "get"): Route("CW", 200, "list", filters=("action=member.added", "from=2020-01-01T00:00:00Z")),
    ("audit-record", "get"): Route("CW", 200),
    ("audit-proof", "get"): Route("CW", 200),
    ("audit-story", "get"): Route("CW", 200),
    ("audit-exports", "get"): Route("CW", 200, "list"),
    ("audit-exports", "post"): Route("CW", 202, "own", body={"from": None, "to": None, "format": "jsonl"}),
    ("audit-export", "get"): Route("CW", 200),
    ("audit-export", "delete"): Route("CW", 204),
    ("audit-download", "get"): Route("CW", 200),
    ("audit-checkpoint", "get"): Route("CW", 200, "own"),
    ("holds", "get"): Route("CW", 200, "list"),
    ("holds", "post"): Route("CW", 201, "own", body={"agent": "echo", "reason": "a lawsuit"}),
    ("hold", "get"): Route("CW", 200),
    ("hold-confirm", "post"): Route("CW", 200),
    ("hold-release", "post"): Route("CW", 201, body={"reason": "settled"}),
    ("hold-refuse", "post"): Route("CW", 200),
    ("erasures", "get"): Route("CW", 200, "list"),
    ("erasures", "post"): Route("CW", 422, "own", body={"subject": "nobody", "reason": "asked by letter"}),
    ("erasure", "get"): Route("CW", 200),
    ("erasure-confirm", "post"): Route("CW", 200),
    ("erasure-refuse", "post"): Route("CW", 409),
    ("retention", "get"): Route("CW", 200, "list"),
    ("retention-changes", "get"): Route("CW", 200, "list"),
    ("retention-change-confirm", "post"): Route("CW", 200),
    ("retention-change-refuse", "post"): Route("CW", 409),
    ("retention-changes", "post"): Route("CW", 201, "own", body={"terms": {"runs": 400}, "reason": "policy"}),
    ("identity-providers", "get"): Route("W", 200, "list"),
    ("identity-provider", "get"): Route("W", 200),
    ("identity-provider", "put"): Route("W", 200, "own", body=PROVIDER, headers=ANY_STATE),
    ("identity-provider", "delete"): Route("W", 204),
    ("webhooks", "get"): Route("DW", 200, "list"),
    ("webhooks", "post"): Route("DW", 201, "own", body={"name": "third", "url": "https://crm.example/"}),
    ("webhook", "get"): Route("DW", 200),
    ("webhook", "put"): Route("DW", 200, body={"active": False}),
    ("webhook", "delete"): Route("DW", 204),
    ("webhook-rotate", "post"): Route("DW", 200),
    ("webhook-deliveries", "get"): Route("DW", 200),
    ("webhook-replay", "post"): Route("DW", 202),
    ("tenant-settings", "get"): Route("W", 200, "same"),
    ("tenant-settings", "put"): Route("W", 412, "own", body=SETTINGS, headers={"If_Match": '"else"'}),
    ("staff-access", "get"): Route("CW", 200, "list"),
}

#: What a service's account of the operator's role does not get where an operator does.
NOT_FOR_SERVICES = {("escalation-decide", "post"): (403, "may_not_decide")}


@pytest.fixture(scope="module")
def shared(django_db_setup: None, django_db_blocker: DjangoDbBlocker, model_url: str) -> Iterator[Scene]:
    """A tenant with one of everything, made once."""
    with django_db_blocker.unblock():
        with serving(model_url):
            made = furnish(world())
        yield made
        connections.close_all()


@pytest.fixture
def scene(shared: Scene, database: None) -> Scene:
    """That tenant, for those who change nothing in it."""
    return shared


@pytest.fixture
def fresh(database: None, driver: Driver) -> Scene:
    """A tenant to change."""
    return furnish(world())


def call(who: Caller, scene: Scene, name: str, method: str, ids: dict[str, str] | None = None) -> Answer:
    """Try a route with the scene's ids, or with others."""
    route = ROUTES[name, method]
    path = address(name, ids or scene.ids)
    return who(method.upper(), path, body_for(route.body, scene.world), None, **route.headers)


def told(answer: Answer) -> tuple[int, bytes, frozenset[tuple[str, str]]]:
    """Return all of the answer but how many requests are left, which grow fewer with each."""
    headers = frozenset((name, value) for name, value in answer.headers.items() if name != "RateLimit")
    return answer.status, answer.content, headers


def test_every_route_and_method_is_tried() -> None:
    routed = {
        (str(pattern.name), method)
        for pattern in urlpatterns
        for method in METHODS
        if hasattr(pattern.callback.view_class, method) and method != "options"  # type: ignore[attr-defined]
    }

    assert routed == ROUTES.keys()


#: What is answered when another route has settled it already: nothing has changed since the last version; the hold is
#: confirmed.
SETTLED = {("agent-versions", "post"): 200, ("hold-refuse", "post"): 409}


def test_those_who_may_are_let_in_everywhere(fresh: Scene) -> None:
    # Reads and refusals first, so that no route works on what another took away.
    order = sorted(
        ROUTES, key=lambda key: (key[1] == "delete", key[0] in {"run-cancel", "key-rotate"}, key[1] == "put")
    )
    for name, method in order:
        route = ROUTES[name, method]
        who = fresh.by_role[LETTERS[route.roles[-1]]]
        answer = call(who, fresh, name, method)
        assert answer.status in {route.status, SETTLED.get((name, method))}, (name, method, answer.content)


@pytest.mark.parametrize("letter", LETTERS)
def test_each_role_gets_what_is_its_and_is_kept_from_the_rest(scene: Scene, letter: str) -> None:
    who, before, refused = scene.by_role[LETTERS[letter]], scene.records(), 0
    for (name, method), route in ROUTES.items():
        if letter in route.roles:
            if method == "get":
                assert call(who, scene, name, method).status == route.status, (name, method)
        elif letter in route.blind:
            hidden, absent = call(who, scene, name, method), call(who, scene, name, method, nonexistent(scene.ids))
            assert (hidden.status, hidden.code) == (404, "not_found"), (name, method, hidden.content)
            assert told(hidden) == told(absent), (name, method)
        else:
            answer = call(who, scene, name, method)
            assert answer.status == 403, (name, method, answer.content)
            assert answer.code in {"forbidden", "missing_grant", "own_request"}, (name, method)
            refused += 1

    assert scene.actions_since(before).count("access.refused") == refused


@pytest.mark.parametrize("each", REFUSED, ids=[each.who.__name__ for each in REFUSED])
def test_whoever_has_no_right_to_be_there_finds_the_same_everywhere(scene: Scene, each: Refused) -> None:
    who, before = each.who(scene), scene.records()
    bodies = set()
    for name, method in ROUTES:
        answer = call(who, scene, name, method)
        assert (answer.status, answer.code) == (each.status, each.code), (name, method, answer.content)
        bodies.add(answer.content)

    assert scene.actions_since(before) == list(each.leaves) * len(ROUTES)
    assert each.status != 401 or len(bodies) == 1


def test_a_services_account_is_let_in_like_a_member_of_its_role_but_never_decides(scene: Scene) -> None:
    who = service(scene, Role.OPERATOR)
    for (name, method), route in ROUTES.items():
        expected = NOT_FOR_SERVICES.get((name, method))
        if expected is not None:
            answer = call(who, scene, name, method)
            assert (answer.status, answer.code) == expected, (name, method)
        elif "O" not in route.roles:
            assert call(who, scene, name, method).status == 403, (name, method)
        elif method == "get":
            assert call(who, scene, name, method).status == route.status, (name, method)


def test_a_method_that_a_route_does_not_take_is_refused_to_all_alike(scene: Scene) -> None:
    owner, carol = scene.by_role[Role.OWNER], caller_elsewhere()
    for name in {name for name, _ in ROUTES}:
        path, nowhere = address(name, scene.ids), address(name, nonexistent(scene.ids))
        accept = "text/event-stream" if name == "run-stream" else "application/json"
        for method in METHODS:
            if (name, method) not in ROUTES:
                answer = owner(method.upper(), path, Accept=accept)
                assert (answer.status, answer.code) == (405, "method_not_allowed"), (name, method)
        hidden, absent = carol("PATCH", path, Accept=accept), carol("PATCH", nowhere, Accept=accept)
        assert told(hidden) == told(absent), name
        assert hidden.status == 405, name


def caller_elsewhere() -> Caller:
    """The owner of another, empty tenant, with every scope."""
    other = world()
    return caller(other, other.member("carol", Role.OWNER), *SCOPES)


# --- another tenant -----------------------------------------------------------------------------------------------


def test_carol_cannot_tell_what_is_not_hers_from_what_is_not(scene: Scene) -> None:
    carol, before = caller_elsewhere(), scene.records()

    for (name, method), route in ROUTES.items():
        answer = call(carol, scene, name, method)
        if route.elsewhere == "missing":
            other = call(carol, scene, name, method, nonexistent(scene.ids))
            assert (answer.status, answer.code) == (404, "not_found"), (name, method, answer.content)
            assert told(answer) == told(other), (name, method)
        elif route.elsewhere == "list":
            assert answer.json.keys() == {"results", "next"}, (name, method)
        elif route.elsewhere == "same":
            assert answer.content == call(scene.by_role[Role.OWNER], scene, name, method).content
        else:
            assert answer.status in {201, 202, 204, 404, 412, 422}, (name, method, answer.content)
        assert scene.world.slug.encode() not in answer.content, (name, method)
    assert scene.records() == before


_UUID = re.compile(rb"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")


def seen_by(who: Caller, scene: Scene) -> tuple[bytes, dict[str, int]]:
    """Return everything that reading all routes and filters shows, and how many each list counts."""
    shown, counts = b"", {}
    for (name, method), route in ROUTES.items():
        if method != "get" or name in {"run-stream", "models"}:
            continue
        path = address(name, scene.ids)
        for query in ("", *(f"?{each}" for each in route.filters)):
            answer = who("GET", path + query)
            assert answer.status == 200, (name, query, answer.content)
            shown += answer.content
            if route.elsewhere == "list":
                counts[name + query] = len(answer.json["results"])
    return shown, counts


def test_two_tenants_with_the_same_names_see_nothing_of_each_other(fresh: Scene) -> None:
    """Lists, filters, counts and everything by its id: not one id, address or name of the other comes through."""
    other = furnish(world())

    mine, counts = seen_by(fresh.by_role[Role.OWNER], fresh)
    theirs, their_counts = seen_by(other.by_role[Role.OWNER], other)

    assert set(_UUID.findall(mine)) & set(_UUID.findall(theirs)) == set()
    assert fresh.world.slug.encode() in mine
    assert fresh.world.slug.encode() not in theirs
    assert other.world.slug.encode() not in mine
    assert counts == their_counts
    assert sum(bool(count) for count in counts.values()) >= 15


def test_a_filter_that_names_anothers_thing_finds_what_one_that_names_nothing_finds(scene: Scene) -> None:
    carol = caller_elsewhere()
    bob = scene.world.bob
    named = (
        ("runs?agent={}", "payer", "nothing"),
        ("runs?metadata.case={}", "one", "none"),
        ("audit/records?run={}", scene.ids["run_id"], nonexistent(scene.ids)["run_id"]),
        ("audit/records?actor={}", f"user:{bob.user_id}", f"user:{nonexistent(scene.ids)['run_id']}"),
        ("audit/records?actor={}", f"bob@{scene.world.slug}.example", f"bob@{scene.world.slug}.exampel"),
        ("audit/records?subject={}", f"bob@{scene.world.slug}.example", f"bob@{scene.world.slug}.exampel"),
    )
    for path, theirs, nobodys in named:
        answer, other = carol.get(path.format(quote(theirs))), carol.get(path.format(quote(nobodys)))
        shown, unknown = answer.content.replace(theirs.encode(), b""), other.content.replace(nobodys.encode(), b"")
        assert (answer.status, shown) == (other.status, unknown), path
        assert answer.status == 422 or answer.json["results"] == [], path


def test_a_cursor_works_nowhere_but_in_the_list_it_was_made_for(scene: Scene) -> None:
    carol, owner, tried = caller_elsewhere(), scene.by_role[Role.OWNER], 0
    lists = [name for (name, method), route in ROUTES.items() if method == "get" and route.elsewhere == "list"]
    cursors = {}
    for name in lists:
        answer = owner("GET", f"{address(name, scene.ids)}?limit=1")
        if answer.status == 200 and answer.json["next"] is not None:
            cursors[name] = answer.json["next"]
    for name, cursor in cursors.items():
        path = address(name, scene.ids)
        assert owner("GET", f"{path}?cursor={quote(cursor)}").status == 200
        made_up = carol("GET", f"{path}?cursor=made-up")
        assert made_up.status in {400, 422}, made_up.content
        other = next(each for each in (*cursors.values(), *cursors.values()) if each != cursor)
        for who, foreign in ((carol, cursor), (owner, other)):
            answer = who("GET", f"{path}?cursor={quote(foreign)}")
            assert (answer.status, answer.content) == (made_up.status, made_up.content), name
            tried += 1

    assert tried >= 16


def test_what_carol_starts_is_hers(scene: Scene) -> None:
    """By the name of Alice's agent, with the key Alice used: no run of Alice's, and nothing of Alice's changed."""
    carol, before = caller_elsewhere(), scene.records()
    body = {"agent": "echo", "input": {"key": "a"}}
    assert scene.by_role[Role.OPERATOR].post("runs", body, Idempotency_Key="42").status == 202
    with tenant_scope(scene.world.tenant_id):
        assert Record.objects.count() > before

    answer = carol.post("runs", body, Idempotency_Key="42")

    absent = carol.post("runs", {**body, "agent": "nobody"}, Idempotency_Key="42")
    assert (answer.status, answer.code) == (absent.status, absent.code)

"""Runs over REST: start, list, read, cancel."""

from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from agents.models import Run
from db.scope import tenant_scope
from tenants.models import Role
from tests.api.conftest import Caller, caller, start
from tests.worlds import World


def test_a_run_starts_at_once(alice: Caller, echo: str) -> None:
    answer = alice.post("runs", {"agent": echo, "input": {"key": "a"}, "metadata": {"case": "7"}})

    assert answer.status == 202
    started = answer.json
    here = f"/api/v1/runs/{started['id']}"
    assert started == {
        "id": started["id"],
        "status": "queued",
        "agent": echo,
        "version": 1,
        "created_at": started["created_at"],
        "links": {"self": here, "events": f"{here}/events", "stream": f"{here}/stream"},
    }
    assert answer.headers["Location"] == here
    assert alice.get(here).json["metadata"] == {"case": "7"}


def test_the_same_key_and_body_name_the_same_run(alice: Caller, echo: str) -> None:
    body = {"agent": echo, "input": {"key": "a", "n": 1}}
    first = alice.post("runs", body, Idempotency_Key="order 7")
    again = alice("POST", "runs", raw=b'{ "input": {"n": 1, "key": "a"}, "agent": "echo"}', Idempotency_Key="order 7")

    assert (first.status, again.status) == (202, 202)
    assert first.json == again.json
    assert len(alice.get("runs").json["results"]) == 1


def test_the_same_key_with_another_body_is_refused(alice: Caller, echo: str) -> None:
    start(alice, echo)
    alice.post("runs", {"agent": echo, "input": {"key": "a"}}, Idempotency_Key="k")

    other = alice.post("runs", {"agent": echo, "input": {"key": "b"}}, Idempotency_Key="k")

    assert (other.status, other.code) == (422, "idempotency_mismatch")
    assert len(alice.get("runs").json["results"]) == 2


@pytest.mark.parametrize("key", ["", "x" * 256, "ü", " x", "a\tb"])
def test_an_unusable_idempotency_key_is_refused(alice: Caller, echo: str, key: str) -> None:
    answer = alice.post("runs", {"agent": echo, "input": {"key": "a"}}, Idempotency_Key=key)

    assert (answer.status, answer.code) == (400, "bad_header")


@pytest.mark.parametrize(
    ("change", "pointers"),
    [
        ({"surprise": 1, "input": {"key": "a"}}, ["/surprise"]),
        ({"callback_url": "ftp://example.com"}, ["/callback_url"]),
        ({"metadata": {str(n): "x" for n in range(17)}}, ["/metadata"]),
        ({"metadata": {"a": 1}}, ["/metadata/a"]),
        ({"metadata": {"a": "x" * 501}}, ["/metadata/a"]),
        ({"budget": {"usd": 0.5}}, ["/budget/usd"]),
        ({"budget": {"usd": "1000000"}}, ["/budget/usd"]),
        ({"budget": {"euro": "1"}}, ["/budget/euro"]),
        ({"priority": 101}, ["/priority"]),
        ({"version": 0}, ["/version"]),
        ({"deadline": "tomorrow"}, ["/deadline"]),
        ({"deadline": "2030-01-01T00:00:00"}, ["/deadline"]),
        ({"agent": "no/slug"}, ["/agent"]),
        ({"input": {"key": "a\x00b", "ok": "x"}}, ["/input/key"]),
    ],
)
def test_what_is_wrong_with_a_body_is_said_with_its_place(
    alice: Caller, echo: str, change: dict[str, object], pointers: list[str]
) -> None:
    answer = alice.post("runs", {"agent": echo, "input": {"key": "a"}, **change})

    assert (answer.status, answer.code, answer.pointers) == (422, "invalid_body", pointers)
    assert alice.get("runs").json["results"] == []


def test_missing_fields_are_named(alice: Caller) -> None:
    answer = alice.post("runs", {})

    assert answer.pointers == ["/agent", "/input"]


def test_the_input_is_checked_against_the_agents_schema(alice: Caller, echo: str) -> None:
    answer = alice.post("runs", {"agent": echo, "input": {"key": 7}})

    assert (answer.status, answer.code, answer.pointers) == (422, "invalid_input", ["/input/key"])


def test_unknown_agents_and_versions_have_their_own_codes(alice: Caller, echo: str) -> None:
    assert alice.post("runs", {"agent": "nope", "input": {}}).code == "unknown_agent"
    assert alice.post("runs", {"agent": echo, "input": {}, "version": 9}).code == "unknown_version"


def test_a_key_without_the_scope_is_told_which(acme: World, echo: str) -> None:
    answer = caller(acme, acme.alice, "runs:read").post("runs", {"agent": echo, "input": {"key": "a"}})

    assert (answer.status, answer.code) == (403, "missing_scope")
    assert "runs:write" in answer.json["detail"]


def test_large_integers_in_the_input_are_kept_exactly(alice: Caller, bob: Caller, echo: str) -> None:
    run = start(alice, echo, input={"key": "a", "n": 2**60 + 1, "x": 1.0})

    [submitted] = alice.get(f"runs/{run}/events").json["results"]

    assert submitted["data"]["input"] == {"key": "a", "n": 2**60 + 1, "x": 1.0}


def test_a_list_is_newest_first_and_steady_under_inserts(alice: Caller, echo: str) -> None:
    runs = [str(start(alice, echo)) for _ in range(5)]

    first = alice.get("runs?limit=2").json
    start(alice, echo)
    second = alice.get(f"runs?limit=2&cursor={first['next']}").json
    third = alice.get(f"runs?limit=2&cursor={second['next']}").json

    seen = [run["id"] for page in (first, second, third) for run in page["results"]]
    assert seen == runs[::-1]
    assert third["next"] is None


def test_a_cursor_of_another_tenant_or_a_forged_one_is_refused(alice: Caller, carol: Caller, echo: str) -> None:
    for _ in range(2):
        start(alice, echo)
    cursor = alice.get("runs?limit=1").json["next"]

    for answer in (carol.get(f"runs?cursor={cursor}"), alice.get(f"runs?cursor=x{cursor}"), alice.get("runs?cursor=")):
        assert (answer.status, answer.code) == (400, "bad_cursor")


def test_lists_are_filtered(alice: Caller, acme: World, echo: str) -> None:
    acme.define("other", role="You echo otherwise.")
    one = start(alice, echo, metadata={"case": "7", "team": "a"})
    two = start(alice, "other", metadata={"case": "8"})

    def ids(query: str) -> list[str]:
        return [run["id"] for run in alice.get(f"runs?{query}").json["results"]]

    assert ids("agent=other") == [str(two)]
    assert ids("agent=nope") == []
    assert ids("metadata.case=7&metadata.team=a") == [str(one)]
    assert ids("metadata.case=7&metadata.team=b") == []
    assert ids("status=queued") == [str(two), str(one)]
    assert ids("status=completed") == []
    assert ids("created_after=2020-01-01T00:00:00+00:00") == [str(two), str(one)]
    assert ids("created_before=2020-01-01T00:00:00Z") == []


@pytest.mark.parametrize(
    "query",
    [
        "status=done",
        "limit=0",
        "limit=201",
        "limit=x",
        "created_after=yesterday",
        "sort=cost",
        "agent=a&agent=b",
        "agent=%00",
        "metadata.=x",
        "metadata.a=%00",
        "created_before=0001-01-01T00:00:00%2B14:00",
    ],
)
def test_a_wrong_query_is_refused_with_its_place(alice: Caller, query: str) -> None:
    answer = alice.get(f"runs?{query}")

    assert (answer.status, answer.code) == (422, "invalid_query")
    assert answer.pointers[0].startswith("/query/")


def test_a_list_costs_the_same_however_long_it_is(acme: World, alice: Caller, echo: str) -> None:
    start(alice, echo)
    with CaptureQueriesContext(connection) as short:
        alice.get("runs")
    for _ in range(5):
        start(alice, echo)
    with CaptureQueriesContext(connection) as long:
        alice.get("runs")

    assert len(long) == len(short) <= 13


def test_reading_a_run_costs_a_handful_of_queries(alice: Caller, echo: str) -> None:
    run = start(alice, echo)
    with CaptureQueriesContext(connection) as queries:
        alice.get(f"runs/{run}")

    # key look-up and tenant scope with their transactions, the run, its escalations and children
    assert len(queries) <= 11, [query["sql"][:60] for query in queries]


@pytest.mark.parametrize("path", ["", "/events", "/stream"])
def test_what_is_not_there_answers_like_what_is_not_yours(alice: Caller, carol: Caller, echo: str, path: str) -> None:
    run = start(alice, echo)
    accept = "text/event-stream" if path == "/stream" else "application/json"
    answers = [
        carol.get(f"runs/{given}{path}", Accept=accept)
        for given in (run, uuid4(), "nonsense", f"{{{run}}}", str(run).replace("-", ""), "a%00b", "%ff", "ä" * 300)
    ]

    assert {answer.status for answer in answers} == {404}
    assert len({answer.content for answer in answers}) == 1
    counted = "RateLimit"  # how many requests are left, which each makes one fewer
    told = {frozenset((name, value) for name, value in each.headers.items() if name != counted) for each in answers}
    assert len(told) == 1


def test_a_viewer_sees_that_it_happened_but_not_what(alice: Caller, bob: Caller, echo: str) -> None:
    run = start(alice, echo)

    [submitted] = bob.get(f"runs/{run}/events").json["results"]

    assert submitted["data"]["input"] is None
    assert submitted["data"]["version"] == 1
    assert bob.get(f"runs/{run}").json["output"] is None


def test_events_are_read_in_pages(alice: Caller, echo: str) -> None:
    run = start(alice, echo)
    assert alice.post(f"runs/{run}/cancel").status == 202

    first = alice.get(f"runs/{run}/events?limit=1").json
    second = alice.get(f"runs/{run}/events?after={first['next']}").json

    assert [event["type"] for event in first["results"]] == ["run.submitted"]
    assert first["next"] == "1"
    assert [event["seq"] for event in second["results"]] == list(range(2, 2 + len(second["results"])))
    assert second["next"] is None
    assert alice.get(f"runs/{run}/events?after=99").json == {"results": [], "next": None}
    assert alice.get(f"runs/{run}/events?after=-1").code == "invalid_query"


def test_cancelling_needs_the_right_to_start(acme: World, alice: Caller, bob: Caller, echo: str) -> None:
    run = start(alice, echo)

    assert bob.post(f"runs/{run}/cancel").status == 403
    assert alice.post(f"runs/{run}/cancel", {"why": "x"}).pointers == ["/why"]
    assert alice.post(f"runs/{uuid4()}/cancel").code == "not_found"
    with tenant_scope(acme.tenant_id):
        assert Run.objects.get(id=run).seq == 1


def test_that_a_run_has_ended_is_told_to_those_alone_who_might_end_it(acme: World, alice: Caller, echo: str) -> None:
    dan = caller(acme, acme.member("dan", Role.DEVELOPER))
    run = start(alice, echo)
    with tenant_scope(acme.tenant_id):
        Run.objects.filter(id=run).update(status="completed")

    assert dan.post(f"runs/{run}/cancel").code == "missing_grant"
    assert alice.post(f"runs/{run}/cancel").code == "run_ended"


def test_acting_for_somebody_needs_its_own_scope(acme: World, alice: Caller, echo: str) -> None:
    body = {"agent": echo, "input": {"key": "a"}, "on_behalf_of": f"bob@{acme.slug}.example"}

    assert alice.post("runs", body).status == 202
    assert caller(acme, acme.alice, "runs:write").post("runs", body).code == "missing_scope"
    assert alice.post("runs", {**body, "on_behalf_of": "stranger@example.com"}).code == "unknown_member"


def test_a_key_sent_by_many_at_once_makes_one_run(alice: Caller, echo: str) -> None:
    body = {"agent": echo, "input": {"key": "a"}}
    with ThreadPoolExecutor(16) as crowd:
        answers = list(crowd.map(lambda _: alice.post("runs", body, Idempotency_Key="once"), range(32)))

    assert {answer.status for answer in answers} == {202}
    assert len({answer.content for answer in answers}) == 1
    assert len(alice.get("runs").json["results"]) == 1

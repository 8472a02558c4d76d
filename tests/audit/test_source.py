"""Every record of a request says where that came from, in opaque words alone."""

import asyncio
import json
from uuid import UUID

import pytest

from audit import journal, source
from audit.models import Payload, Record
from audit.source import Source, trace_of
from db.scope import tenant_scope
from tenants.models import ApiKey
from tests.api.conftest import Caller, acme, alice, echo
from tests.worlds import World

__all__ = ["acme", "alice", "echo"]

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"


@pytest.mark.parametrize(
    "header",
    [
        f"00-{TRACE}-{PARENT}-01",
        f" 00-{TRACE}-{PARENT}-00 ",
        f"cc-{TRACE}-{PARENT}-01",
        f"cc-{TRACE}-{PARENT}-01-what-the-future-will-be-like",
    ],
)
def test_a_traceparent_tells_its_trace(header: str) -> None:
    assert trace_of(header) == TRACE


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "ada@bank.example",
        f"00-{TRACE}-{PARENT}",
        f"00-{TRACE}-{PARENT}-01-more",
        f"00-{TRACE.upper()}-{PARENT}-01",
        f"00-{'0' * 32}-{PARENT}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"ff-{TRACE}-{PARENT}-01",
        f"00-{TRACE}-{PARENT}-01\n00-{TRACE}-{PARENT}-01",
        f"cc-{TRACE}-{PARENT}-01-{'x' * 300}",
    ],
)
def test_one_that_is_none_tells_nothing(header: str | None) -> None:
    assert trace_of(header) is None


def test_requests_that_are_answered_side_by_side_are_told_apart() -> None:
    async def answer(trace: str) -> list[object]:
        with source.answering(Source(trace)):
            await asyncio.sleep(0)
            found = source.current()
            return [found and found.trace, await asyncio.to_thread(lambda: source.current() is found)]

    async def both() -> list[list[object]]:
        return [*await asyncio.gather(answer("a"), answer("b"))]

    assert asyncio.run(both()) == [["a", True], ["b", True]]
    assert source.current() is None


def test_a_run_says_by_which_key_and_in_which_trace_it_was_asked_for(acme: World, alice: Caller, echo: str) -> None:
    body = {"agent": "echo", "input": {"key": "a"}}
    headers = {"traceparent": f"00-{TRACE}-{PARENT}-01", "Idempotency-Key": "order of ada@bank.example"}

    run = UUID(alice.post("runs", body, **headers).json["id"])

    with tenant_scope(acme.tenant_id):
        record = Record.objects.get(stream=run, seq=1)
        payload = json.loads(Payload.objects.get(record_id=record.id).value)
    assert alice.principal is not None
    assert record.facts["trace"] == TRACE
    with tenant_scope(acme.tenant_id):
        assert (
            ApiKey.objects.get(id=UUID(record.facts["via"].removeprefix("key:"))).principal_id
            == alice.principal.user_id
        )
    assert payload["idempotency_key"] == "order of ada@bank.example"
    assert "ada" not in json.dumps(record.facts), "what a client writes there may be of a person"


def test_events_are_told_without_the_request_that_they_were_written_in(alice: Caller, echo: str) -> None:
    headers = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
    run = alice.post("runs", {"agent": "echo", "input": {"key": "a"}}, **headers).json["id"]
    alice.post(f"runs/{run}/cancel", {}, **headers)

    told = {each["type"]: each["data"] for each in alice.get(f"runs/{run}/events").json["results"]}

    assert (told["run.submitted"]["trace"], "via" in told["run.submitted"]) == (TRACE, False)
    assert told["run.cancel_requested"].keys() & {"trace", "via"} == set()


def test_without_a_trace_it_is_the_runs_own(acme: World, alice: Caller, echo: str) -> None:
    run = UUID(alice.post("runs", {"agent": "echo", "input": {"key": "a"}}, traceparent="nonsense").json["id"])

    with tenant_scope(acme.tenant_id):
        assert "trace" not in Record.objects.get(stream=run, seq=1).facts


def test_what_no_request_asked_for_says_who_acted_alone(acme: World) -> None:
    with tenant_scope(acme.tenant_id):
        record_id = journal.record("thing.done", stream=acme.tenant_id, actor="system:command", facts={"n": 1})

        assert Record.objects.get(id=record_id).facts == {"n": 1}

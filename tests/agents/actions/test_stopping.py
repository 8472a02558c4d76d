"""The kill switch: no new runs, those under way ended, on every path and beside submissions under way."""

import json
import threading
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from access.errors import AccessDenied, MissingGrant
from agents.actions import again, runs, stopping
from agents.actions.runs import Request, submit
from agents.errors import AgentNotStopped, AgentStopped, StopReasonMissing
from agents.models import Agent
from audit.models import Payload, Record
from db.scope import tenant_scope
from tests.worlds import VERDICT, World, world


@pytest.fixture
def acme(database: None) -> World:
    made = world()
    made.define("refund-desk", role="Refund desk", output_schema=VERDICT)
    made.define("other", role="Other", output_schema=VERDICT)
    return made


def stop(acme: World, by: Any = None, reason: str = "It refunds everybody.") -> Agent:
    return stopping.stop(acme.agent("refund-desk"), reason=reason, acting_as=by or acme.alice)


def test_stopped_agent_takes_no_run_until_it_is_let_go_on(acme: World) -> None:
    before = acme.submit("refund-desk", {})
    stop(acme)
    with pytest.raises(AgentStopped):
        acme.submit("refund-desk", {})
    with pytest.raises(AgentStopped):
        submit(Request(agent="refund-desk", input={}, version=1), acting_as=acme.alice)
    assert acme.submit("other", {}).status == "queued"
    assert acme.run(before.id).status == "queued"  # those under way are ended by themselves
    stopping.let_go_on(acme.agent("refund-desk"), acting_as=acme.alice)
    assert acme.submit("refund-desk", {}).status == "queued"


def test_runs_under_way_are_asked_to_end_and_others_are_not(acme: World) -> None:
    mine, others = [acme.submit("refund-desk", {}) for _ in range(3)], acme.submit("other", {})
    agent = stop(acme)
    assert stopping.end_runs(agent, acting_as=acme.alice) == stopping.Ended(3, 0)
    for run in mine:
        assert acme.actions(run.id)[-1] == "run.cancel_requested"
    assert "run.cancel_requested" not in acme.actions(others.id)


def test_runs_of_an_agent_that_is_not_stopped_are_not_ended_together(acme: World) -> None:
    run = acme.submit("refund-desk", {})
    stopped = stop(acme)
    stopping.let_go_on(stopped, acting_as=acme.alice)
    with pytest.raises(AgentNotStopped):  # whatever the row said that the caller read before
        stopping.end_runs(stopped, acting_as=acme.alice)
    assert "run.cancel_requested" not in acme.actions(run.id)


def test_ending_many_stops_when_time_is_up_and_goes_on_when_asked_again(acme: World) -> None:
    mine = [acme.submit("refund-desk", {}) for _ in range(3)]
    times, agent = iter([0.0, 0.0, 99.0, 0.0, 0.0, 99.0]), stop(acme)
    assert stopping.end_runs(agent, acting_as=acme.alice, clock=lambda: next(times)) == stopping.Ended(1, 2)
    assert stopping.end_runs(agent, acting_as=acme.alice, clock=lambda: next(times)) == stopping.Ended(1, 1)
    assert stopping.end_runs(agent, acting_as=acme.alice) == stopping.Ended(1, 0)
    assert stopping.end_runs(agent, acting_as=acme.alice) == stopping.Ended(0, 0)
    for run in mine:
        assert acme.actions(run.id).count("run.cancel_requested") == 1


def test_a_run_that_somebody_else_asks_meanwhile_is_not_counted(acme: World) -> None:
    run = acme.submit("refund-desk", {})

    def clock() -> float:
        runs.cancel(run.id, acting_as=acme.alice)
        return 0.0

    times = iter([lambda: 0.0, clock])
    ended = stopping.end_runs(stop(acme), acting_as=acme.alice, clock=lambda: next(times)())
    assert ended == stopping.Ended(0, 0)


def test_a_run_whose_row_is_held_is_left_and_the_others_are_asked(acme: World) -> None:
    first, second = (acme.submit("refund-desk", {}) for _ in range(2))
    agent, holds, leave = stop(acme), threading.Event(), threading.Event()

    def hold() -> None:
        try:
            with tenant_scope(acme.tenant_id):
                runs.locked(first.id)
                holds.set()
                leave.wait(30)
        finally:
            connection.close()

    holder = threading.Thread(target=hold)
    holder.start()
    try:
        assert holds.wait(30)
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '100ms'")
        assert stopping.end_runs(agent, acting_as=acme.alice) == stopping.Ended(1, 1)
        assert "run.cancel_requested" in acme.actions(second.id)
    finally:
        leave.set()
        holder.join(30)
        with connection.cursor() as cursor:
            cursor.execute("RESET lock_timeout")
    assert stopping.end_runs(agent, acting_as=acme.alice) == stopping.Ended(1, 0)


def test_who_was_asked_is_looked_up_by_an_index(acme: World) -> None:
    listed = [acme.submit("refund-desk", {}).id for _ in range(3)]
    with tenant_scope(acme.tenant_id), CaptureQueriesContext(connection) as seen:
        assert stopping._unasked(listed) == listed
        asking = next(each["sql"] for each in seen.captured_queries if "audit_record" in each["sql"])
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_seqscan = off")  # the table is small here
            cursor.execute(f"EXPLAIN {asking}")
            plan = "\n".join(row[0] for row in cursor.fetchall())
    assert "Seq Scan" not in plan
    assert "stream = ANY" in plan.partition("Index Cond: ")[2], plan


def test_record_names_no_person_and_its_reason_is_erasable(acme: World) -> None:
    acme.submit("refund-desk", {})
    agent = stop(acme)
    stop(acme, reason="again")
    with tenant_scope(acme.tenant_id):
        found = Record.objects.get(stream=agent.id, action="agent.stopped")
        assert (found.actor, found.facts) == (acme.alice.actor, {"open": 1})
        assert stopping.last_stop(agent) == found
        payload = Payload.objects.get(record_id=found.id)
        assert json.loads(payload.value) == {"slug": "refund-desk", "reason": "It refunds everybody."}


def test_who_may_not_edit_the_agent_does_not_stop_it(acme: World, database: None) -> None:
    for person in (acme.bob, acme.rita):
        with pytest.raises(MissingGrant):
            stop(acme, by=person)
        with pytest.raises(AccessDenied):
            stopping.end_runs(acme.agent("refund-desk"), acting_as=person)
    acme.grant("edit", acme.agent("refund-desk"), acme.rita)
    assert stop(acme, by=acme.rita).stopped_at is not None


@pytest.mark.parametrize("reason", ["", "  ", "x" * 1001], ids=["none", "blank", "too long"])
def test_stop_needs_a_reason(acme: World, reason: str) -> None:
    with pytest.raises(StopReasonMissing):
        stop(acme, reason=reason)
    assert acme.agent("refund-desk").stopped_at is None


def test_ended_run_of_a_stopped_agent_is_not_tried_again(acme: World) -> None:
    run = acme.submit("refund-desk", {})
    with tenant_scope(acme.tenant_id):
        type(run).objects.filter(id=run.id).update(status="failed", error_code="x")
    stop(acme)
    with pytest.raises(AgentStopped):
        again.retry(run.id, "start", acting_as=acme.alice)


def test_stop_waits_for_a_submission_under_way_and_finds_its_run(acme: World) -> None:
    ended: list[stopping.Ended] = []

    def kill() -> None:
        try:
            ended.append(stopping.end_runs(stop(acme), acting_as=acme.alice))
        finally:
            connection.close()

    killer = threading.Thread(target=kill)
    with tenant_scope(acme.tenant_id), transaction.atomic():
        acme.submit("refund-desk", {})
        killer.start()
        killer.join(0.3)
        assert ended == []
    killer.join(30)
    assert ended == [stopping.Ended(1, 0)]

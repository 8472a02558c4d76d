"""Runs whose journal or version kills who reads it, or cannot be read: counted, and set aside unread."""

from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from django.db.models import F

from agents.core.decide import CallModel, Finished, Park
from agents.engine import executor, leases, specs, statements, store
from agents.engine.executor import Means
from agents.models import Run
from audit import journal
from audit.journal import Entry
from db import trip
from db.scope import tenant_scope
from escalations.models import Escalation
from tests.agents.engine.serving import serving
from tests.agents.engine.setting_aside import (
    TRIES,
    answer,
    claim,
    die,
    dies_in_the_claim,
    dies_in_the_fold,
    due,
    few_tries,
    held,
    hours_pass,
    kill,
    looking,
    means,
    question,
    with_deadline,
)
from tests.agents.engine.waiting import ended, until
from tests.worlds import World

__all__ = ["few_tries", "hours_pass", "means"]


def unreadable(*_: Any) -> None:
    """Stands in for what reads a version's document."""
    raise IndexError("the document's tools")


def test_a_death_in_the_fold_is_counted_before_it_comes(
    acme: World, means: Means, model_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = looking(acme)
    mine, _ = claim(means, run)
    mine._commit([mine._call_model(CallModel(1))])
    for _ in range(TRIES):
        dies_in_the_fold(means, acme.run(run.id), monkeypatch)
        left = acme.run(run.id)
        assert (left.status, left.ready_at) == ("running", None)
        assert left.due_at is not None

    _, command = claim(means, run)

    assert isinstance(command, Park)
    answer(acme, run, "approve")
    with serving(model_url):
        assert ended(acme, run).status == "completed"


def test_a_step_that_the_database_refuses_each_time_is_counted_too(
    acme: World, means: Means, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = looking(acme)
    claim(means, run)
    before = acme.run(run.id).tries

    def refuse(*_: Any) -> None:
        raise psycopg.OperationalError("the session stood still for too long")

    monkeypatch.setattr(executor, "fold_all", refuse)
    with pytest.raises(psycopg.OperationalError):
        claim(means, run)
    left = acme.run(run.id)
    assert (left.tries, left.ready_at) == (before + 1, None)


def test_who_lost_the_lease_before_the_fold_takes_nothing_up(
    acme: World, means: Means, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = looking(acme)
    claim(means, run)
    locks = statements.LOCK

    begins = trip.transaction

    def overtaking(connection: Any, *made: Any) -> Any:
        if made[-1][0] is locks:
            with tenant_scope(run.tenant_id):
                Run.objects.filter(id=run.id).update(epoch=F("epoch") + 1)
        return begins(connection, *made)

    monkeypatch.setattr(trip, "transaction", overtaking)
    actions = acme.actions(run.id)
    with pytest.raises(leases.LostLease):
        claim(means, run)
    assert acme.actions(run.id) == actions


# --- what cannot be folded -------------------------------------------------------------------------------------------


def broken(acme: World, means: Means, run: Run | None = None) -> Run:
    """A run whose journal tells of something that cannot have happened."""
    run = run or looking(acme)
    claim(means, run)
    with tenant_scope(acme.tenant_id):
        row = Run.objects.get(id=run.id)
        impossible = {"turn": 1, "call": 7, "call_id": "c", "tool": "lookup", "version": 1}
        journal.append_at(run.id, row.seq, [Entry("tool.finished", "engine", impossible, {"result": 1})])
        Run.objects.filter(id=run.id).update(seq=row.seq + 1)
    return run


def fail_to_claim(means: Means, run: Run) -> None:
    with pytest.raises(IndexError):
        claim(means, run)


def test_a_run_that_cannot_be_folded_is_set_aside_and_holds_up_no_other(
    acme: World, means: Means, model_url: str
) -> None:
    run = broken(acme, means)
    fail_to_claim(means, run)
    fine = acme.submit("looker", {"a": "fine", "b": "fine"})
    assert acme.run(run.id).tries == TRIES
    with serving(model_url):
        assert ended(acme, fine).status == "completed"
        due(acme, run)
        until(acme, run, lambda now: now.waiting_for == "decision")
    assert question(acme, run).status == "open"


def test_one_that_cannot_be_folded_to_end_it_ends_all_the_same_when_it_is_given_up(acme: World, means: Means) -> None:
    run = broken(acme, means)
    fail_to_claim(means, run)
    claim(means, run)
    assert held(acme) > 0
    answer(acme, run, "reject")
    fail_to_claim(means, run)

    claim(means, run)

    over = acme.run(run.id)
    assert (over.status, over.error_code) == ("failed", "worker_died")
    assert held(acme) == 0
    assert question(acme, run).status == "decided"
    assert acme.actions(run.id)[-4:] == ["run.resumed", "model.failed", "budget.settled", "run.failed"]
    lost, settled, _ = acme.events(run.id)[-3:]
    reserved = next(event.facts for event in acme.events(run.id) if event.action == "budget.reserved")
    assert settled.facts["usd_nano"] == over.cost_nano == lost.facts["cost_nano"] == reserved["usd_nano"] > 0
    assert settled.facts["tokens"] == lost.facts["tokens"] == reserved["tokens"] > 0


def test_one_that_cannot_be_folded_to_end_it_at_its_deadline_waits_for_a_person(
    acme: World, means: Means, hours_pass: Callable[[], None]
) -> None:
    run = broken(acme, means, with_deadline(acme))
    fail_to_claim(means, run)
    claim(means, run)
    hours_pass()
    fail_to_claim(means, run)

    _, command = claim(means, run)

    assert isinstance(command, Park)
    assert acme.run(run.id).due_at is None
    assert question(acme, run).status == "open"


def test_a_run_whose_version_cannot_be_read_is_set_aside_and_given_up_like_one_whose_journal_cannot(
    acme: World, means: Means, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = looking(acme)
    claim(means, run)
    monkeypatch.setattr(store, "spec_of", unreadable)
    for _ in range(TRIES - 1):
        fail_to_claim(means, run)

    _, command = claim(means, run)

    assert isinstance(command, Park)
    answer(acme, run, "reject")
    fail_to_claim(means, run)
    assert isinstance(claim(means, run)[1], Finished)
    over = acme.run(run.id)
    assert (over.status, over.error_code) == ("failed", "worker_died")
    assert held(acme) == 0
    assert over.cost_nano > 0  # of the model call that was under way


def test_a_run_whose_version_kills_who_reads_it_is_set_aside_and_given_up_all_the_same(
    acme: World, means: Means, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = looking(acme)
    claim(means, run)
    monkeypatch.setattr(store, "spec_of", kill)
    for _ in range(TRIES):  # one was taken up before; the last of these is that which sets aside
        dies_in_the_claim(means, run)

    assert isinstance(claim(means, run)[1], Park)
    asked = question(acme, run)
    assert (asked.status, asked.queue) == ("open", None)
    assert isinstance(claim(means, run)[1], Park)  # woken without an answer
    answer(acme, run, "reject")
    dies_in_the_claim(means, run)

    assert isinstance(claim(means, run)[1], Finished)
    over = acme.run(run.id)
    assert (over.status, over.error_code) == ("failed", "worker_died")
    assert held(acme) == 0


def test_a_run_whose_version_kills_goes_on_once_it_kills_no_more(
    acme: World, means: Means, model_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = looking(acme)
    claim(means, run)
    with monkeypatch.context() as patched:
        patched.setattr(store, "spec_of", kill)
        for _ in range(TRIES):
            dies_in_the_claim(means, run)
        claim(means, run)
    answer(acme, run, "approve")
    with serving(model_url):
        assert ended(acme, run).status == "completed"


def test_a_run_that_was_taken_up_more_often_than_can_be_counted_holds_up_no_other(acme: World, means: Means) -> None:
    run = looking(acme)
    claim(means, run)
    with tenant_scope(acme.tenant_id):
        Run.objects.filter(id=run.id).update(tries=2**15 - 1)

    assert isinstance(claim(means, run)[1], Park)
    assert acme.run(run.id).tries == TRIES


def test_a_wake_up_without_an_answer_asks_nobody_again(acme: World, means: Means) -> None:
    run = looking(acme)
    die(means, run)
    claim(means, run)
    for _ in range(3):
        _, command = claim(means, run)
        assert isinstance(command, Park)
    with tenant_scope(acme.tenant_id):
        assert Escalation.objects.filter(run_id=run.id).count() == 1
    assert acme.run(run.id).status == "waiting"


def test_what_a_later_release_wrote_counts_against_nobody(acme: World, means: Means) -> None:
    run = looking(acme)
    claim(means, run)
    with tenant_scope(acme.tenant_id):
        row = Run.objects.get(id=run.id)
        journal.append_at(run.id, row.seq, [Entry("run.invented", "engine", {}, None)])
        Run.objects.filter(id=run.id).update(seq=row.seq + 1, tries=0)
    for _ in range(TRIES + 2):
        with pytest.raises(Exception, match="invented"):
            claim(means, run)
    assert acme.run(run.id).tries == 0


def test_a_worker_that_stops_in_good_order_counts_as_none_that_died(acme: World, means: Means) -> None:
    run = looking(acme)
    for _ in range(TRIES + 2):
        executor, command = claim(means, run)
        assert isinstance(command, CallModel)
        leases.release(executor.run)
    assert acme.run(run.id).tries == 0


# --- new runs of versions that this process has not read yet ---------------------------------------------------------


def unread(acme: World, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A new run, as it comes to a process that has driven none of its version."""
    run = looking(acme)
    monkeypatch.setattr(specs, "_made", {})
    return run


def test_a_new_run_whose_version_kills_is_counted_and_set_aside(
    acme: World, means: Means, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = unread(acme, monkeypatch)
    monkeypatch.setattr(store, "spec_of", kill)
    for _ in range(TRIES):
        dies_in_the_claim(means, run)
        left = acme.run(run.id)
        assert (left.status, left.ready_at) == ("queued", None)  # as its records say, and at rest for a lease
        assert left.due_at is not None
    assert left.tries == TRIES
    dies_in_the_claim(means, run)  # the first one that sets aside asks the version in whose queue the question belongs

    assert isinstance(claim(means, run)[1], Park)
    assert acme.actions(run.id) == ["run.submitted", "run.started", "decision.requested", "run.waiting"]
    assert question(acme, run).status == "open"


def test_a_new_run_whose_version_cannot_be_read_counts_each_try_once(
    acme: World, means: Means, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = unread(acme, monkeypatch)
    monkeypatch.setattr(store, "spec_of", unreadable)
    fail_to_claim(means, run)

    left = acme.run(run.id)
    assert (left.status, left.tries, left.worker, left.ready_at) == ("queued", 1, None, None)


def test_a_new_run_of_a_version_that_was_read_before_is_taken_up_in_one_commit(acme: World, means: Means) -> None:
    claim(means, looking(acme))
    run = acme.submit("looker", {"a": "a", "b": "b"})
    asked: list[bytes] = []
    begins = trip.transaction

    def noting(connection: Any, *made: Any) -> Any:
        asked.extend(call[0].name for call in made)
        return begins(connection, *made)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(trip, "transaction", noting)
        claim(means, run)

    assert asked.count(statements.CLAIM.name) == 1
    assert statements.LOCK.name not in asked

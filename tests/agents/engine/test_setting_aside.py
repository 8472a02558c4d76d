"""Runs that kill whoever drives them, or that cannot be folded: set aside for a person, and what an answer does."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from django.conf import settings
from django.db.models import F
from django.db.models.functions import Now

from agents.actions.runs import cancel
from agents.core.decide import CallModel, Command, Finished, Park, Perform
from agents.engine import claims, executor, leases, statements, store
from agents.engine.executor import Means, RunExecutor
from agents.engine.toolbox import perform_call
from agents.models import Run
from agents.providers.claude import ClaudeProvider
from audit import journal
from audit.journal import Entry
from db import trip
from db.scope import tenant_scope
from escalations.actions.decisions import Answer, decide
from escalations.models import Escalation
from quotas.models import Window
from tests.agents.engine.conftest import PATIENCE_S
from tests.agents.engine.serving import serving
from tests.worlds import LEDGER, LOOKUP, PAY, World

TRIES = 2

BOOK: Any = {
    **LOOKUP,
    "effect": "write",
    "idempotent": True,
    "compensate_with": {"tool": "unbook", "arguments": {"key": "'un' + result.key"}},
}
UNBOOK: Any = {**LOOKUP, "effect": "write"}


@pytest.fixture(autouse=True)
def few_tries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "RUN_TRIES", TRIES)


@pytest.fixture
def means(model_url: str) -> Means:
    """What an executor of the test's own performs with."""
    answer = ClaudeProvider("rehearsal", model_url).answer
    return Means(answer, perform_call, tools=None, stopping=lambda: False)  # type: ignore[arg-type]


def claim(means: Means, run: Run) -> tuple[RunExecutor, Command]:
    """Take that run up as a worker of the test's own, and commit what it begins with."""
    with tenant_scope(run.tenant_id):
        Run.objects.filter(id=run.id).update(ready_at=Now())
    with claims.claim("test", after=UUID(int=run.tenant_id.int - 1)) as claimed:
        assert claimed is not None
        step, mine = claimed
        assert mine.id == run.id
        executor = RunExecutor(mine, means)
        command = executor.begin(step)
    return executor, command


def die(means: Means, run: Run, times: int = TRIES) -> None:
    """Let so many workers in a row take the run up and die."""
    for _ in range(times):
        claim(means, run)


def due(acme: World, run: Run) -> None:
    """Let the run's lease, or its pause, be over."""
    with tenant_scope(acme.tenant_id):
        Run.objects.filter(id=run.id).update(due_at=Now() - timedelta(seconds=1))


def looking(acme: World, **more: Any) -> Run:
    acme.define("looker", role="You look up twice.", tool_specs={"lookup": LOOKUP}, **more)
    return acme.submit("looker", {"a": f"a {acme.slug}", "b": f"b {acme.slug}"})


def with_deadline(acme: World) -> Run:
    """A run that is to be over within the hour."""
    acme.define("looker", role="You look up twice.", tool_specs={"lookup": LOOKUP})
    return acme.submit("looker", {"a": f"a {acme.slug}", "b": "b"}, deadline=datetime.now(UTC) + timedelta(hours=1))


@pytest.fixture
def hours_pass(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Let two hours pass, for whoever drives runs."""
    now = leases.Claimed.now

    def pass_on() -> None:
        monkeypatch.setattr(leases.Claimed, "now", lambda mine: now(mine) + timedelta(hours=2))

    return pass_on


def question(acme: World, run: Run) -> Escalation:
    with tenant_scope(acme.tenant_id):
        return Escalation.objects.get(run_id=run.id, reason="worker_died")


def answer(acme: World, run: Run, decision: str) -> None:
    acme.grant("review", acme.agent("looker"), acme.rita)
    asked = question(acme, run)
    decide(asked.id, Answer(decision, asked.digest, reason="so", message="so"), acting_as=acme.rita)


def until(acme: World, run: Run, reached: Callable[[Run], bool]) -> Run:
    """Wait for the run to come so far."""
    patience = time.monotonic() + PATIENCE_S
    while not reached(now := acme.run(run.id)):
        assert time.monotonic() < patience, (now.status, acme.actions(run.id))
        time.sleep(0.02)
    return now


def ended(acme: World, run: Run) -> Run:
    """Wait for the run's end."""
    return until(acme, run, lambda now: now.ended_at is not None)


def held(acme: World) -> int:
    with tenant_scope(acme.tenant_id):
        return sum(window.reserved_usd_nano for window in Window.objects.all())


def test_a_run_whose_workers_die_is_set_aside_and_nothing_is_repeated(acme: World, means: Means) -> None:
    run = looking(acme)
    die(means, run)

    _, command = claim(means, run)

    assert isinstance(command, Park)
    parked = acme.run(run.id)
    assert (parked.status, parked.waiting_for, parked.worker) == ("waiting", "decision", None)
    assert parked.doing == "worker_died"
    asked = question(acme, run)
    assert (asked.kind, asked.status, asked.allowed) == ("question", "open", ["approve", "respond", "reject"])
    assert acme.actions(run.id)[-3:] == ["run.resumed", "decision.requested", "run.waiting"]


def test_a_run_that_gets_further_each_time_is_never_set_aside(acme: World, means: Means) -> None:
    run = looking(acme)
    while acme.run(run.id).ended_at is None:
        die(means, run, TRIES - 1)
        executor, command = claim(means, run)
        assert isinstance(command, CallModel | Perform)
        if isinstance(command, CallModel):
            executor._commit([executor._call_model(command)])
            assert acme.run(run.id).tries == 0
        else:
            executor.carry_on(command)
    assert acme.run(run.id).status == "completed"


def test_an_answer_to_another_question_gives_it_no_more_tries(acme: World, means: Means) -> None:
    acme.define("payer", role="You pay.", tool_specs={"pay": PAY})
    acme.grant("review", acme.agent("payer"), acme.rita)
    run = acme.submit("payer", {"to": acme.slug})
    executor, command = claim(means, run)
    executor.carry_on(command)
    with tenant_scope(acme.tenant_id):
        asked = Escalation.objects.get(run_id=run.id)
        Run.objects.filter(id=run.id).update(tries=TRIES)

    decide(asked.id, Answer("approve", asked.digest), acting_as=acme.rita)

    assert acme.run(run.id).tries == TRIES


@pytest.mark.parametrize("decision", ["approve", "respond"])
def test_who_says_so_has_it_tried_again(acme: World, means: Means, model_url: str, decision: str) -> None:
    run = looking(acme)
    die(means, run)
    claim(means, run)
    answer(acme, run, decision)
    with serving(model_url):
        assert ended(acme, run).status == "completed"


def test_who_rejects_ends_it(acme: World, means: Means, model_url: str) -> None:
    run = looking(acme)
    executor, _ = claim(means, run)
    assert isinstance(executor._commit([executor._call_model(CallModel(1))]), Perform)
    die(means, run)
    claim(means, run)
    answer(acme, run, "reject")
    with serving(model_url):
        over = ended(acme, run)
    assert (over.status, over.error_code) == ("failed", "worker_died")
    assert acme.actions(run.id)[-4:] == ["run.resumed", "tool.denied", "budget.settled", "run.failed"]
    assert LEDGER.effects[f"lookup a {acme.slug}"] == 0
    assert held(acme) == 0


def test_a_cancelled_run_that_kills_ends_without_another_try(acme: World, means: Means, model_url: str) -> None:
    run = looking(acme)
    executor, _ = claim(means, run)
    executor._commit([executor._call_model(CallModel(1))])
    die(means, run)
    claim(means, run)
    cancel(run.id, acting_as=acme.alice)
    with serving(model_url):
        assert ended(acme, run).status == "cancelled"
    assert LEDGER.effects[f"lookup a {acme.slug}"] == 0
    assert question(acme, run).status == "withdrawn"


def test_one_cancelled_while_it_still_killed_is_set_aside_and_ends_by_itself(
    acme: World, means: Means, model_url: str
) -> None:
    run = looking(acme)
    executor, _ = claim(means, run)
    executor._commit([executor._call_model(CallModel(1))])
    die(means, run)
    cancel(run.id, acting_as=acme.alice)
    due(acme, run)
    with serving(model_url):
        assert ended(acme, run).status == "cancelled"


def test_the_deadline_of_a_run_that_is_set_aside_ends_it(
    acme: World, means: Means, model_url: str, hours_pass: Callable[[], None]
) -> None:
    run = with_deadline(acme)
    die(means, run)
    claim(means, run)
    assert acme.run(run.id).due_at == run.deadline
    due(acme, run)
    hours_pass()
    with serving(model_url):
        over = ended(acme, run)
    assert (over.status, over.error_code) == ("failed", "deadline_exceeded")
    assert question(acme, run).status == "withdrawn"
    assert held(acme) == 0


def test_a_call_in_the_air_keeps_the_deadline_waiting_for_a_person(
    acme: World, means: Means, hours_pass: Callable[[], None]
) -> None:
    run = with_deadline(acme)
    executor, _ = claim(means, run)
    executor._commit([executor._call_model(CallModel(1))])
    die(means, run)
    hours_pass()

    _, command = claim(means, run)

    assert isinstance(command, Park)
    parked = acme.run(run.id)
    assert (parked.due_at, parked.doing) == (None, "worker_died")


def undoing(acme: World, means: Means, model_url: str) -> Run:
    """A run that was given up in the middle of a write, and asks what it did before it is undone."""
    acme.define("looker", role="You look up twice.", tool_specs={"unbook": UNBOOK, "lookup": BOOK})
    run = acme.submit("looker", {"a": f"a {acme.slug}", "b": "b"})
    executor, _ = claim(means, run)
    executor._commit([executor._call_model(CallModel(1))])
    die(means, run)
    claim(means, run)
    answer(acme, run, "reject")
    with serving(model_url):
        return until(acme, run, lambda now: now.doing == "outcome_unknown")


def test_a_write_that_kills_is_of_unknown_outcome_when_it_is_given_up(
    acme: World, means: Means, model_url: str
) -> None:
    run = undoing(acme, means, model_url)
    assert acme.actions(run.id)[-4:] == ["tool.unknown", "run.compensating", "decision.requested", "run.waiting"]


def test_a_cancellation_wakes_nothing_that_was_set_aside_while_it_was_undone(
    acme: World, means: Means, model_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = undoing(acme, means, model_url)
    cancel(run.id, acting_as=acme.alice)
    for _ in range(TRIES):
        dies_in_the_fold(means, acme.run(run.id), monkeypatch)

    _, command = claim(means, run)

    assert isinstance(command, Park)
    assert acme.run(run.id).due_at is None


class Death(BaseException):
    """No handler is to see it: nothing is left to run one."""


def kill(*_: Any) -> None:
    raise Death


def dies_in_the_claim(means: Means, run: Run) -> None:
    with pytest.raises(Death):
        claim(means, run)


def dies_in_the_fold(means: Means, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a worker take the run up and die while it folds; as the database sees that, its session ends."""

    def die(*_: Any) -> None:
        with tenant_scope(run.tenant_id):
            raise Death(Run.objects.get(id=run.id).tries)

    with monkeypatch.context() as patched:
        patched.setattr(executor, "fold_all", die)
        with pytest.raises(Death) as died:
            claim(means, run)
    assert died.value.args == (run.tries + 1,)


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
    def unreadable(*_: Any) -> None:
        raise IndexError("the document's tools")

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

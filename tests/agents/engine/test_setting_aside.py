"""Runs that kill whoever drives them: set aside for a person, and what an answer or a deadline does."""

from collections.abc import Callable

import pytest

from agents.actions.runs import cancel
from agents.core.decide import CallModel, Park, Perform
from agents.engine.executor import Means
from agents.models import Run
from db.scope import tenant_scope
from escalations.actions.decisions import Answer, decide
from escalations.models import Escalation
from tests.agents.engine.serving import serving
from tests.agents.engine.setting_aside import (
    BOOK,
    TRIES,
    UNBOOK,
    answer,
    claim,
    die,
    dies_in_the_fold,
    due,
    few_tries,
    held,
    hours_pass,
    looking,
    means,
    question,
    with_deadline,
)
from tests.agents.engine.waiting import ended, until
from tests.worlds import LEDGER, PAY, World

__all__ = ["few_tries", "hours_pass", "means"]


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

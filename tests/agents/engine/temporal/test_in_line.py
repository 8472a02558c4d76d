"""Runs in line whose call of the model nobody wants any more: it is not made, and costs nothing."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from agents.actions.runs import cancel
from agents.engine import store
from agents.engine.temporal.hands import Hands
from agents.engine.temporal.messages import ENDED, LOOK, MODEL, Standing
from agents.engine.temporal.telling import Told
from agents.models import Run
from tests.agents.engine.setting_aside import hours_pass, with_deadline
from tests.agents.engine.temporal.test_hands import Made, lookups, made, stepped
from tests.worlds import World

__all__ = ["hours_pass", "made"]

Pass = Callable[[], None]


def calls_nothing(hands: Hands) -> Hands:
    """Have these hands fail when they call the model."""

    def answer(*_: Any, **__: Any) -> Any:
        raise AssertionError("the model was called")

    hands._means = replace(hands._means, answer=answer)
    return hands


def assert_ended_at_no_cost(acme: World, run: Run) -> None:
    over = acme.run(run.id)
    assert (over.status, over.error_code, over.cost_nano) == ("failed", "deadline_exceeded", 0)
    (failed,) = [event for event in acme.events(run.id) if event.action == "model.failed"]
    assert failed.facts["code"] == "withdrawn"
    assert acme.actions(run.id)[-3:] == ["model.failed", "budget.settled", "run.failed"]


@pytest.mark.parametrize("pace", ["permits", None])
def test_no_call_is_made_after_the_deadline(acme: World, made: Made, hours_pass: Pass, pace: str | None) -> None:
    hands, run = calls_nothing(made("one", pace=pace)), with_deadline(acme)
    at = hands.take_up(run.id, lost=0)
    hours_pass()

    assert stepped(hands, run, at) == Standing(ENDED, status="failed")

    assert_ended_at_no_cost(acme, run)


def test_a_look_ends_a_run_whose_deadline_has_passed(acme: World, made: Made, hours_pass: Pass) -> None:
    hands, run = calls_nothing(made("one", pace="permits")), with_deadline(acme)
    at = hands.take_up(run.id, lost=0)
    assert hands.step(run.id, at.epoch, LOOK) == at
    hours_pass()

    assert hands.step(run.id, at.epoch, LOOK) == Standing(ENDED, status="failed")

    assert_ended_at_no_cost(acme, run)


def test_runs_are_told_of_whose_deadline_has_passed(acme: World, made: Made, hours_pass: Pass) -> None:
    hands = made("one", pace="permits")
    timed, cancelled, neither = with_deadline(acme), lookups(acme), lookups(acme)
    for run in (timed, cancelled, neither):
        assert hands.take_up(run.id, lost=0).kind == MODEL
    assert hands.overtaken() == []
    cancel(cancelled.id, acting_as=acme.alice)
    hours_pass()

    told = {each.run_id: each for each in hands.overtaken()}

    assert told == {run.id: Told(run.id, acme.tenant_id, wakes=True) for run in (timed, cancelled)}


def test_who_knows_the_deadline_asks_nobody_whether_it_has_passed(
    acme: World, made: Made, hours_pass: Pass, monkeypatch: pytest.MonkeyPatch
) -> None:
    hands, run = calls_nothing(made("one", pace="permits")), with_deadline(acme)
    at = hands.take_up(run.id, lost=0)
    hours_pass()

    def away(*_: object) -> None:
        raise psycopg.OperationalError("away")

    monkeypatch.setattr(store, "since", away)

    assert stepped(hands, run, at).kind == ENDED

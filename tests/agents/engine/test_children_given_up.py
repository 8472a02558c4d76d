"""A run that kills its workers and is given up takes what it started with it, though nothing of it can be folded."""

from typing import Any

import pytest

from agents.core.decide import Finished, Park
from agents.engine.executor import Means
from tests.agents.engine.setting_aside import TRIES, answer, claim, dies_in_the_fold, few_tries, held, means
from tests.agents.engine.test_children import CASE, CLERK, children_of, facts
from tests.worlds import PAY, World

__all__ = ["few_tries", "means"]

Json = Any


def test_its_children_are_asked_to_end_and_what_was_set_aside_for_them_is_charged(
    acme: World, means: Means, monkeypatch: pytest.MonkeyPatch
) -> None:
    acme.define("clerk", role="You settle bills", tool_specs={"pay": PAY})
    acme.define("looker", role="You delegate one thing.", tool_specs={"ask_clerk": CLERK})
    run = acme.submit("looker", CASE)
    executor, command = claim(means, run)
    assert isinstance(executor.carry_on(command), Park)
    (child,) = children_of(acme, run)
    below, command = claim(means, child)
    assert isinstance(below.carry_on(command), Park)
    for _ in range(TRIES):
        dies_in_the_fold(means, acme.run(run.id), monkeypatch)
    claim(means, run)
    answer(acme, run, "reject")
    dies_in_the_fold(means, acme.run(run.id), monkeypatch)

    _, command = claim(means, run)

    assert isinstance(command, Finished)
    assert acme.run(run.id).error_code == "worker_died"
    (started,) = facts(acme, run, "child.started")
    (settled,) = facts(acme, run, "budget.settled")
    own = sum(each["cost_nano"] for each in facts(acme, run, "model.answered"))
    assert settled["usd_nano"] == own + started["usd_nano"]
    assert acme.actions(child.id)[-1] == "run.cancel_requested"
    _, command = claim(means, acme.run(child.id))
    assert acme.run(child.id).status == "cancelled"
    assert held(acme) == 0

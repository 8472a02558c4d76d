"""A run that kills its workers and is given up takes what it started with it, though nothing of it can be folded."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from agents.actions.usage import used
from agents.core.decide import Finished, Park
from agents.engine.executor import Means
from db.scope import tenant_scope
from tests.agents.engine.setting_aside import TRIES, answer, claim, dies_in_the_fold, few_tries, held, means
from tests.agents.engine.test_children import CASE, CLERK, children_of, facts
from tests.worlds import PAY, World

__all__ = ["few_tries", "means"]

Json = Any


def spent(acme: World) -> dict[str, int]:
    """What the runs of each agent cost, as the page of usage tells it."""
    now = datetime.now(UTC)
    with tenant_scope(acme.tenant_id):
        rows = used(by="agent", since=now - timedelta(days=1), until=now + timedelta(days=1))
    return {row.key: row.cost_nano for row in rows}


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
    assert spent(acme) == {"looker": own, "clerk": acme.run(child.id).cost_nano}
    assert acme.run(child.id).cost_nano > 0


def test_what_a_child_used_counts_once_whether_its_parent_has_heard_of_its_end_or_never_does(
    acme: World, means: Means, monkeypatch: pytest.MonkeyPatch
) -> None:
    acme.define("clerk", role="You are the hawk.")
    acme.define("looker", role="You delegate one thing.", tool_specs={"ask_clerk": CLERK})
    run = acme.submit("looker", CASE)
    executor, command = claim(means, run)
    assert isinstance(executor.carry_on(command), Park)
    own = acme.run(run.id).cost_nano
    (child,) = children_of(acme, run)
    below, command = claim(means, child)
    assert isinstance(below.carry_on(command), Finished)
    its = acme.run(child.id).cost_nano
    assert spent(acme) == {"looker": own, "clerk": its}  # not heard of yet
    for _ in range(TRIES):
        dies_in_the_fold(means, acme.run(run.id), monkeypatch)
    claim(means, run)
    answer(acme, run, "reject")
    dies_in_the_fold(means, acme.run(run.id), monkeypatch)
    claim(means, run)

    assert acme.run(run.id).error_code == "worker_died"
    assert spent(acme) == {"looker": own, "clerk": its}  # and never will be
    other = acme.submit("looker", CASE)
    for each in (other, None, other):
        executor, command = claim(means, acme.run(each.id if each else children_of(acme, other)[0].id))
        executor.carry_on(command)
    assert acme.run(other.id).status == "completed"
    assert sum(spent(acme).values()) == own + its + acme.run(other.id).cost_nano  # heard of: the row holds both
    assert held(acme) == 0

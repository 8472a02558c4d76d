"""The connection breaks at COMMIT, before or after it took effect: each step is written once all the same."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from agents.actions.runs import Request, submit
from agents.core.decide import CallModel, Command, Park, Perform
from agents.core.events import Event
from agents.engine import executor, store
from agents.engine.executor import Means, RunExecutor, Stopped
from agents.models import Run
from db import trip
from db.pool import Connection, transaction_connection
from tests.agents.engine.conftest import PATIENCE_S
from tests.agents.engine.test_grants import TWICE, developer, give
from tests.agents.engine.test_leases import claim_and_begin, means
from tests.worlds import LEDGER, LOOKUP, PAY, World

__all__ = ["means"]


def asks(acme: World) -> Run:
    """A run whose first answer needs a person's yes."""
    acme.define("payer", role="You pay.", tool_specs={"pay": PAY})
    return acme.submit("payer", {"to": acme.slug})


def is_held_on_condition(acme: World) -> Run:
    """A run whose first call is allowed by a grant with a condition."""
    acme.define("looker", role=TWICE, tool_specs={"lookup": LOOKUP})
    dev = developer(acme, "dev", "looker")
    give(acme, "lookup", dev, "args.key != 'z'")
    return submit(Request(agent="looker", input={"a": "a", "b": "b"}), acting_as=dev).run


def cut(connection: Connection) -> None:
    """End the connection's backend, as a restart of the server does."""
    with transaction_connection() as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", [connection.info.backend_pid])


class Breaking:
    """Once armed, cuts the next COMMIT of a trip before the server has it, or loses its answer; counts that."""

    def __init__(self, when: str) -> None:
        self.when, self.armed, self.count = when, False, 0
        self._whole = trip._results

    def results(self, connection: Connection, calls: Sequence[trip.Call]) -> Any:
        if not self.armed or list(calls) != [trip._COMMIT]:
            return self._whole(connection, calls)
        self.armed, self.count = False, self.count + 1
        if self.when == "before":
            cut(connection)
            return self._whole(connection, calls)
        self._whole(connection, calls)
        connection.close()
        raise psycopg.OperationalError("the server closed the connection")


@pytest.fixture(params=["before", "after"])
def breaking(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Breaking:
    made = Breaking(request.param)
    monkeypatch.setattr(trip, "_results", made.results)
    monkeypatch.setattr(executor, "RETRY_S", 0.01)
    return made


@pytest.mark.parametrize(
    ("start", "follows", "events"),
    [
        (asks, Park, ["model.answered", "decision.requested", "run.waiting"]),
        (is_held_on_condition, Perform, ["model.answered", "tool.requested"]),
    ],
    ids=["asks", "is held on condition"],
)
def test_a_step_whose_commit_broke_is_written_once(
    acme: World,
    means: Means,
    breaking: Breaking,
    start: Callable[[World], Run],
    follows: type[Command],
    events: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = start(acme)
    mine: RunExecutor = claim_and_begin(means, run)
    counted: list[Sequence[Event]] = []
    monkeypatch.setattr(store, "count_step", counted.append)
    before = acme.actions(run.id)
    answered = mine._call_model(CallModel(1))
    breaking.armed = True

    command = mine._commit([answered])

    assert breaking.count == 1
    assert len(counted) == (breaking.when == "before")  # one whose answer was lost is not counted rather than twice
    assert isinstance(command, follows)
    assert acme.actions(run.id) == before + events
    assert acme.run(run.id).model_calls == 1
    assert mine.state.seq == acme.run(run.id).seq


@pytest.fixture
def lost(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Loses the answer of the next plain step's commit."""
    monkeypatch.setattr(executor, "RETRY_S", 0.01)
    whole = store.append

    def lose(*arguments: Any, **more: Any) -> None:
        monkeypatch.setattr(store, "append", whole)
        whole(*arguments, **more)
        raise psycopg.OperationalError("the server closed the connection")

    return lambda: monkeypatch.setattr(store, "append", lose)


def looks(acme: World) -> Run:
    acme.define("looker", role=TWICE, tool_specs={"lookup": LOOKUP})
    return acme.submit("looker", {"a": f"a {acme.slug}", "b": f"b {acme.slug}"})


def is_given_back(acme: World, run: Run) -> bool:
    left = acme.run(run.id)
    return left.worker is None and left.ready_at is not None


@pytest.mark.parametrize("calling", ["the model", "a tool"])
def test_a_stopping_worker_gives_the_run_back_whose_last_commit_it_lost_sight_of(
    acme: World, means: Means, lost: Callable[[], None], calling: str
) -> None:
    run = looks(acme)
    mine: RunExecutor = claim_and_begin(means, run)
    command: Any = CallModel(1)
    if calling == "a tool":
        command = mine.one_step(command)
        assert isinstance(command, Perform)
    mine.means = replace(means, stopping=lambda: True)
    lost()

    with ThreadPoolExecutor(1) as thread:
        stopped = thread.submit(mine.carry_on, command).result(PATIENCE_S)

    assert stopped == Stopped()
    assert is_given_back(acme, run)
    assert acme.actions(run.id)[-1] == ("model.answered" if calling == "the model" else "tool.finished")


def test_a_worker_that_is_told_to_stop_in_a_commit_it_lost_sight_of_begins_what_that_intended(
    acme: World, means: Means, lost: Callable[[], None]
) -> None:
    run = looks(acme)
    mine: RunExecutor = claim_and_begin(means, run)
    lost()
    command = mine.one_step(CallModel(1))
    mine.means = replace(means, stopping=lambda: True)
    assert isinstance(command, Perform)

    assert mine.carry_on(command) == Stopped()

    assert is_given_back(acme, run)
    assert LEDGER.effects[f"lookup a {acme.slug}"] == 1

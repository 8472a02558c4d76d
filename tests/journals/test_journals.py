"""What any release stored of its runs, this one reads, folds and goes on with."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from agents.core.decide import Command, Record, decide, recover, repeated
from agents.core.events import BY_ACTION, Event, RunResumed, RunStarted, event_of
from agents.core.fold import fold, fold_all
from agents.core.holdings import Holdings
from agents.core.lifecycle import TERMINAL
from agents.core.spec import AgentSpec, agent_spec
from agents.core.state import RunState
from agents.engine.projection import project
from tests.agents.core.witness import Witness
from tests.agents.providers.servers import rehearsal
from tests.journals.record import HERE, recorded, release
from tests.journals.scenes import SCRIPTS

Json = Any

FILES = sorted(HERE.glob("*/*.jsonl"))

#: A moment after all that any release recorded.
NOW = datetime(2100, 1, 1, tzinfo=UTC)

#: Columns of the row by the names that `project` gives them.
NAMES = {
    "cache_read_input_tokens": "cache_read",
    "cache_creation_input_tokens": "cache_creation",
    "reserved_usd_nano": "reserved_usd",
}


@dataclass(frozen=True)
class Journal:
    """A file: the run, its agent's version, its row, and its events as they were stored."""

    run_id: UUID
    spec: AgentSpec
    row: Json
    stored: list[Json]

    @classmethod
    def of(cls, lines: list[str]) -> "Journal":
        """Read the lines of a file."""
        head, *stored = map(json.loads, lines)
        return cls(UUID(head["run"]), agent_spec(head["version"]), head["row"], stored)

    @property
    def events(self) -> list[Event]:
        """The events as this release reads them."""
        return [event_of(each["action"], each["v"], each["facts"], each["payload"]) for each in self.stored]

    @property
    def beginning(self) -> RunState:
        """The state before the first of them."""
        return RunState(self.run_id, undoable=self.spec.undoable)


@pytest.fixture(params=FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def journal(request: pytest.FixtureRequest) -> Journal:
    """Each file."""
    path: Path = request.param
    return Journal.of(path.read_text(encoding="utf-8").splitlines())


def test_it_folds_to_what_its_release_made_of_it(journal: Journal) -> None:
    events = journal.events
    state = fold_all(events, journal.beginning)

    columns = project(state, events)
    assert {name: columns[NAMES.get(name, name)] for name in journal.row} == journal.row
    assert [each["seq"] for each in journal.stored] == list(range(1, state.seq + 1))
    assert [each["outcome"] for each in journal.stored] == [event.outcome for event in events]


def test_it_is_one_that_can_be(journal: Journal) -> None:
    witness = Witness()
    for event in journal.events:
        witness.see(event)


def test_a_worker_of_this_release_goes_on_with_it_from_any_event(journal: Journal) -> None:
    state = journal.beginning
    for event in journal.events:
        state = fold(state, event)
        if state.status not in TERMINAL:
            assert not isinstance(go_on(state, journal.spec), Record)


def go_on(state: RunState, spec: AgentSpec) -> Command:
    """Take the run up as a new worker does, and return what it does first."""
    at = NOW.isoformat()
    if state.status == "queued":
        state = fold(state, RunStarted(epoch=1000, at=at))
    else:
        state = fold(state, RunResumed(epoch=1000, reason="lease_expired", at=at))
        if not state.calling_model:
            state = fold_all(recover(state, spec, Holdings.assumed(repeated(state, spec))), state)
    for _ in range(10):
        command = decide(state, spec, now=NOW + timedelta(seconds=1), jitter=0.5)
        if not isinstance(command, Record):
            return command
        state = fold_all(command.events, state)
    return command


def test_every_release_has_its_folder() -> None:
    assert release() in {path.parent.name for path in FILES}


def test_the_recorder_records_every_type_of_event(database: None) -> None:
    with rehearsal(SCRIPTS) as model_url:
        journals = {name: Journal.of(lines) for name, lines in recorded(model_url)}

    seen = {event.action for journal in journals.values() for event in journal.events}
    assert sorted(set(BY_ACTION) - seen) == []
    for journal in journals.values():
        test_it_folds_to_what_its_release_made_of_it(journal)

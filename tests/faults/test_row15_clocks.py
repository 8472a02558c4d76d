"""Row 15: clocks that are an hour off, ahead or behind: the database's clock rules."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from tests.faults.effects import Fault
from tests.faults.invariants import broken
from tests.faults.rig import Rig

Json = Any
HOUR_S = 3600.0


def database_time(rig: Rig) -> datetime:
    row = rig.look.execute("SELECT now()").fetchone()
    assert row is not None
    now: datetime = row[0]
    return now


@pytest.mark.parametrize("ahead_s", [HOUR_S, -HOUR_S])
def test_wrong_clocks_of_the_processes_change_nothing(rig: Rig, ahead_s: float) -> None:
    case = uuid4().hex[:8]
    rig.effects.will(f"/read/{case}", Fault(503))
    begun = database_time(rig)
    with rig.forge.running("tests.faults.processes:web", ahead_s=ahead_s) as web:
        api = rig.api("alice", web=web.hear())
        deadline = (begun + timedelta(minutes=30)).isoformat()
        run = api.post("runs", {"agent": "careful", "input": {"case": case}, "deadline": deadline})["id"]
        with rig.worker(ahead_s=ahead_s, die_at="lease 3: before the call of pay #1") as first:
            rig.settle(run, unless=first.is_dead)
            assert api.get(f"runs/{run}")["status"] == "running"
        with rig.worker(ahead_s=-ahead_s):
            # Neither worker takes the dead one's lease for run out before the database does.
            _does_not_move(rig, run)
            rig.expire(run)
            ended = rig.settle(run)

    assert ended["status"] == "completed"
    assert broken(rig.alice, run, rig.effects.ledger, rig.look) == []
    ends = database_time(rig)
    for told in _times(rig.events(run)):
        assert begun - timedelta(seconds=5) <= told <= ends + timedelta(seconds=5)


@pytest.mark.parametrize("ahead_s", [HOUR_S, -HOUR_S])
def test_a_deadline_passes_by_the_databases_clock(rig: Rig, ahead_s: float) -> None:
    with rig.worker(ahead_s=ahead_s):
        deadline = (database_time(rig) + timedelta(seconds=2)).isoformat()
        body = {"agent": "payer", "input": {"case": uuid4().hex[:8]}, "deadline": deadline}
        run = rig.alice.post("runs", body)["id"]
        while True:
            ended = rig.settle(run, people=False, unless=lambda: False)
            if ended["ended_at"]:
                break

    assert (ended["status"], ended["error"]["code"]) == ("failed", "deadline_exceeded")
    assert datetime.fromisoformat(ended["ended_at"]) >= datetime.fromisoformat(deadline)
    assert rig.effects.ledger.of(run) == {}


def _does_not_move(rig: Rig, run: str) -> None:
    before = rig.events(run)
    assert rig.settle(rig.start("reader", {"case": uuid4().hex[:8]}))["status"] == "completed"
    assert rig.events(run) == before


def _times(events: list[Json]) -> list[datetime]:
    told = [event["at"] for event in events] + [each for event in events for each in [event["data"].get("at")] if each]
    return [datetime.fromisoformat(each).astimezone(UTC) for each in told]

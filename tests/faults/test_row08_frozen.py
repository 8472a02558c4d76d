"""Row 8: a worker is stopped (SIGSTOP) past its lease and goes on later: it writes nothing, and calls no tool."""

import signal
import struct
import subprocess
import threading
from collections.abc import Iterable
from pathlib import Path
from uuid import uuid4

import pytest

from tests.faults.effects import Asked, Fault
from tests.faults.forge import Child
from tests.faults.invariants import broken
from tests.faults.rig import Rig, eventually
from tests.faults.test_kill_points import ENOUGH, PARTS, begin, points, sample

#: How many points `make test` tries on the default engine, and `make test-all` on Temporal, where a point takes half a
#: minute; all of them on the default engine are for `make test-all`, too.
SAMPLES = {"django_q": 5, "temporal": 12}

#: More than any lease, in seconds.
LONG_S = 3600.0


def is_stopped(worker: Child) -> bool:
    state = subprocess.run(["ps", "-o", "state=", "-p", str(worker.pid)], capture_output=True, text=True, check=False)
    return state.stdout.strip().startswith("T")


def calls(rig: Rig, case: str) -> list[Asked]:
    """What reached the tools for a case."""
    return [asked for place in ("read", "once", "each") for asked in rig.effects.ledger.at(f"/{place}/{case}")]


def frozen_at(rig: Rig, point: str, clock: Path) -> list[str]:
    """Stop a worker at a point, have another one finish the run, let the first go on; return what is not right then."""
    clock.write_bytes(struct.pack("d", 0.0))
    run = begin(rig)
    case = rig.events(run)[0]["data"]["input"]["case"]
    with rig.worker(freeze_at=point, clock=str(clock)) as first:
        rig.settle(run, unless=lambda: is_stopped(first))
        if not eventually(lambda: is_stopped(first)):
            return ["the point was not reached"]
        # Time passes: for the server, which undoes what stands still; for the lease; for the worker, once it goes on.
        rig.cut_idle()
        rig.expire(run)
        clock.write_bytes(struct.pack("d", LONG_S))
        with rig.worker():
            ended = rig.settle(run)
        before = rig.events(run), calls(rig, case)
        first.send(signal.SIGCONT)
        while first.hear() != "frozen":  # it let go before, each time that the run was parked
            pass
        if point.startswith("lease"):
            assert first.hear() == "let go"
        found = [] if ended["status"] == "completed" else [f"it is {ended['status']}: {ended['error']}"]
        if rig.settle(rig.start("reader", {"case": uuid4().hex[:8]}))["status"] != "completed":
            found.append("the worker does not work any more")
        if (rig.events(run), calls(rig, case)) != before:
            found.append(f"the worker wrote or called after it had lost the run: {calls(rig, case)} was {before[1]}")
    found += broken(rig.alice, run, rig.effects.ledger, rig.look)
    if sorted(key.rpartition("-")[2] for key in rig.effects.ledger.of(run)) != ["book", "pay"]:
        found.append(f"its effects are {rig.effects.ledger.of(run)}")
    return [*found, rig.told(run)] if found else []


def stops(every: Iterable[str]) -> list[str]:
    """The points to stop at. A process that stops has always sent the whole of a pipeline: it goes out at once."""
    return [point for point in every if "within" not in point]


def failures(rig: Rig, tried: Iterable[str], clock: Path) -> list[str]:
    told: list[str] = []
    for point in tried:
        found = frozen_at(rig, point, clock)
        if found:
            told.append("\n  ".join([f"Frozen at {point!r}:", *found]))
        if len(told) == ENOUGH:
            break
    return told


@pytest.mark.timeout(1200)
def test_a_worker_frozen_at_some_points_is_fenced(rig: Rig, tmp_path: Path) -> None:
    found = failures(rig, sample(stops(points(rig)), SAMPLES[rig.engine]), tmp_path / "clock")

    assert not found, "\n".join(found)


@pytest.mark.large
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("engine", ["django_q"], indirect=True)
@pytest.mark.parametrize("part", range(PARTS))
def test_a_worker_frozen_at_any_point_is_fenced(rig: Rig, tmp_path: Path, part: int) -> None:
    found = failures(rig, stops(points(rig))[part::PARTS], tmp_path / "clock")

    assert not found, "\n".join(found)


def test_the_same_by_the_real_clock(rig: Rig) -> None:
    case, answer = uuid4().hex[:8], threading.Event()
    rig.effects.will(f"/read/{case}", Fault(200, done=True, held=answer))
    run = rig.start("reader", {"case": case})
    with rig.worker() as first:
        assert eventually(lambda: rig.effects.waiting(f"/read/{case}"))
        first.send(signal.SIGSTOP)
        assert eventually(lambda: is_stopped(first))

        with rig.worker():
            ended = rig.settle(run)
        before = rig.events(run)
        answer.set()
        first.send(signal.SIGCONT)
        assert rig.settle(rig.start("reader", {"case": uuid4().hex[:8]}))["status"] == "completed"

        assert ended["status"] == "completed"
        assert rig.events(run) == before
    assert [event["data"]["reason"] for event in before if event["type"] == "run.resumed"] == ["lease_expired"]
    assert broken(rig.alice, run, rig.effects.ledger, rig.look) == []


@pytest.fixture(scope="module")
def variables() -> dict[str, str]:
    """A short lease, for the test by the real clock."""
    return {"LEASE_SECONDS": "3"}

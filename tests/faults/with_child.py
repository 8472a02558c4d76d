"""A run with children whose worker dies at a point of any: for `test_kill_points` and `test_temporal`."""

import os
import signal
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final
from uuid import uuid4

from tests.faults.invariants import broken
from tests.faults.rig import Rig, eventually

Json = Any

#: What nobody may lose: both the row and the intent, and the wake-up with the end.
ALWAYS = ("start_child", "start_reversal", "WITH parent AS")


@dataclass(frozen=True)
class Shape:
    """What a run does with others. children: how many it has in the end; status: how it ends."""

    agent: str
    children: int = 1
    status: str = "completed"


CALL: Final = Shape("boss")

SHAPES: Final[Mapping[str, Shape]] = {
    "call": CALL,
    "hand-off": Shape("porter"),
    "debate": Shape("jury", children=4),
    "undone": Shape("undoer", children=2, status="failed"),
}

#: The ways beside a call.
MORE: Final = tuple(SHAPES)[1:]


def begin(rig: Rig, shape: Shape) -> str:
    """Start a run that starts others, in the first month of its tenant."""
    rig.look.execute("DELETE FROM quotas_window")
    rig.look.execute("DELETE FROM quotas_budget")
    return rig.start(shape.agent, {"case": uuid4().hex[:8]})


def line(rig: Rig, run: str) -> list[str]:
    """The run and its children."""
    return [run, *rig.run(run)["children"]]


def points(rig: Rig, shape: Shape = CALL) -> list[str]:
    """Count the points of all runs, in order."""
    run = begin(rig, shape)
    with rig.worker(count=True) as worker, ThreadPoolExecutor(1) as reader:
        # Read as they come: so many do not fit on the line, and the worker would wait for room.
        heard = reader.submit(lambda: list(worker.heard()))
        try:
            assert rig.settle(run)["status"] == shape.status
            assert eventually(lambda: rig.is_let_go(run))
        finally:
            os.kill(worker.pid, signal.SIGKILL)
        return list(dict.fromkeys(heard.result()))


def lost_at(rig: Rig, point: str, shape: Shape) -> list[str] | None:
    """Have a worker die there and another one finish; returns what is not right then.

    None when the point was not met: which thread is first behind a commit, and so what a lease is called, is chance.
    """
    run = begin(rig, shape)
    with rig.worker(die_at=point) as dying:
        rig.settle(run, unless=dying.is_dead)
        if not dying.is_dead():
            return None
    before = {each: rig.events(each) for each in line(rig, run)}
    found = broken(rig.alice, run, rig.effects.ledger, rig.look)
    for each in line(rig, run):
        rig.expire(each)
    with rig.worker():
        ended = rig.settle(run)
    found += broken(rig.alice, run, rig.effects.ledger, rig.look)
    found += [
        f"{each} has lost records" for each, events in before.items() if rig.events(each)[: len(events)] != events
    ]
    if ended["status"] != shape.status or len(ended["children"]) != shape.children:
        found.append(f"it is {ended['status']} with {len(ended['children'])} children")
    effects = sum(sum(rig.effects.ledger.of(each).values()) for each in line(rig, run))
    if shape.agent == "undoer" and effects != 2:
        found.append(f"what was done and undone are {effects} effects")
    return [*found, *map(rig.told, line(rig, run))] if found else []


def tried(rig: Rig, every: Iterable[str], *, enough: int, shape: Shape = CALL) -> tuple[int, list[str]]:
    """Try these points; returns how many were met, and tells of the first few that fail."""
    met, told = 0, list[str]()
    for point in every:
        found = lost_at(rig, point, shape)
        met += found is not None
        if found:
            told.append("\n  ".join([f"Killed at {point!r}:", *found]))
        if len(told) == enough:
            break
    return met, told

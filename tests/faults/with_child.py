"""A run with a child whose worker dies at a point of either: for `test_kill_points`."""

from collections.abc import Iterable
from typing import Any
from uuid import uuid4

from tests.faults.invariants import broken
from tests.faults.rig import Rig, eventually

Json = Any

#: What nobody may lose: both the row and the intent, and the wake-up with the end.
ALWAYS = ("start_child", "WITH parent AS")


def begin(rig: Rig) -> str:
    """Start a run that starts one, which reads, in the first month of its tenant."""
    rig.look.execute("DELETE FROM quotas_window")
    rig.look.execute("DELETE FROM quotas_budget")
    return rig.start("boss", {"case": uuid4().hex[:8]})


def line(rig: Rig, run: str) -> list[str]:
    """The run and its children."""
    return [run, *rig.run(run)["children"]]


def points(rig: Rig) -> list[str]:
    """Count the points of both runs, in order."""
    run = begin(rig)
    with rig.worker(count=True) as worker:
        assert rig.settle(run)["status"] == "completed"
        assert eventually(lambda: rig.is_let_go(run))
        return list(dict.fromkeys(worker.heard_so_far()))


def lost_at(rig: Rig, point: str) -> list[str] | None:
    """Have a worker die there and another one finish; returns what is not right then.

    None when the point was not met: which thread is first behind a commit, and so what a lease is called, is chance.
    """
    run = begin(rig)
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
    if ended["status"] != "completed" or len(ended["children"]) != 1:
        found.append(f"it is {ended['status']} with {len(ended['children'])} children")
    return [*found, *map(rig.told, line(rig, run))] if found else []


def tried(rig: Rig, every: Iterable[str], *, enough: int) -> tuple[int, list[str]]:
    """Try these points; returns how many were met, and tells of the first few that fail."""
    met, told = 0, list[str]()
    for point in every:
        found = lost_at(rig, point)
        met += found is not None
        if found:
            told.append("\n  ".join([f"Killed at {point!r}:", *found]))
        if len(told) == enough:
            break
    return met, told

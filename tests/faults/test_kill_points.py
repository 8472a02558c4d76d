"""Rows 1 to 6: a worker dies at any statement of a run; another one finishes it, and nothing is lost or done twice.

The points are counted in a first run (`tests.faults.points`), then each is one run whose worker kills itself there.
"""

import os
import random
from collections.abc import Iterable, Sequence
from typing import Any
from uuid import uuid4

import pytest

from tests.faults import with_child
from tests.faults.effects import Fault
from tests.faults.invariants import broken
from tests.faults.rig import Rig, eventually

Json = Any

#: How many points `make test` tries; all of them are for `make test-all`, in so many parts. On Temporal that tries such
#: a sample, too: what a dead worker was handed waits for its time-out there, so that a point takes a quarter of a
#: minute, and all of them half an hour.
SAMPLE = 8
PARTS = 6

#: What once went wrong is tried each time: a claim that was committed without its record.
ONCE_WRONG = ("before lock", "after lock")

#: How many pairs of points each of them tries.
PAIRS = 3
MANY_PAIRS = 60

#: How many points of a run with a child `make test` tries, beside those of starting it and of its end.
WITH_CHILD = 4

#: And how many of one other way to have children, by chance.
WITH_CHILDREN = 3

#: Further failures say nothing new.
ENOUGH = 3


def begin(rig: Rig) -> str:
    """Start a run with two tool calls at once, one of which is tried twice, a model call that is, and an approval.

    It is the first one of its tenant's month, which makes a few statements more.
    """
    rig.look.execute("DELETE FROM quotas_window")
    rig.look.execute("DELETE FROM quotas_budget")
    case = uuid4().hex[:8]
    rig.effects.will(f"/read/{case}", Fault(503))
    return rig.start("careful", {"case": case})


def points(rig: Rig) -> list[str]:
    """Count the points of a run, in order."""
    run = begin(rig)
    with rig.worker(count=True) as worker:
        assert rig.settle(run)["status"] == "completed"
        assert eventually(lambda: rig.is_let_go(run))
        return list(dict.fromkeys(worker.heard_so_far()))


def lost_at(rig: Rig, *points: str) -> list[str]:
    """Have a worker die at each point, one after the other, and a last one finish the run.

    Returns in a sentence each what is not right then. The first point is one of `points`; another one may not be
    reached in what is left of the run, which is then done.
    """
    run = begin(rig)
    found: list[str] = []
    for place, point in enumerate(points):
        with rig.worker(die_at=point) as dying:
            rig.settle(run, unless=dying.is_dead)
            if place == 0 and not eventually(dying.is_dead):
                return ["the point was not reached"]
        before = rig.events(run)
        found += broken(rig.alice, run, rig.effects.ledger, rig.look)
        rig.expire(run)
    with rig.worker():
        ended = rig.settle(run)
    events = rig.events(run)
    if events[: len(before)] != before:
        found.append("what was recorded before is no more")
    found += [*broken(rig.alice, run, rig.effects.ledger, rig.look), *_unlike_a_whole_one(rig, ended, events)]
    return [*found, rig.told(run)] if found else []


def _unlike_a_whole_one(rig: Rig, ended: Json, events: Sequence[Json]) -> Iterable[str]:
    if ended["status"] != "completed":
        yield f"it is {ended['status']}: {ended['error']}"
    effects = sorted(key.rpartition("-")[2] for key in rig.effects.ledger.of(ended["id"]))
    if effects != ["book", "pay"]:
        yield f"its effects are {effects}"
    answers = [event for event in events if event["type"] == "model.answered"]
    if len(answers) != 3:
        yield f"{len(answers)} answers for 3 turns"


def failures(rig: Rig, tried: Iterable[str | tuple[str, str]]) -> list[str]:
    """Try these points, or pairs of points; tell of the first few that fail."""
    told: list[str] = []
    for point in tried:
        found = lost_at(rig, *([point] if isinstance(point, str) else point))
        if found:
            told.append("\n  ".join([f"Killed at {point!r}:", *found]))
        if len(told) == ENOUGH:
            break
    return told


def sample(of: Sequence[str], size: int) -> list[str]:
    """Return points by chance, another choice in each run; `KILL_POINTS_SEED`, printed at its start, repeats one."""
    chance = random.Random(os.environ["KILL_POINTS_SEED"])  # noqa: S311 - no secret
    return chance.sample(sorted(of), min(size, len(of)))


@pytest.mark.timeout(1200)
def test_a_worker_killed_at_any_of_some_points_loses_nothing(rig: Rig) -> None:
    every = points(rig)
    assert len(every) > 100

    found = failures(
        rig, [*sample(every, SAMPLE), *(point for point in every if any(at in point for at in ONCE_WRONG))]
    )

    assert not found, "\n".join(found)


@pytest.mark.large
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("engine", ["django_q"], indirect=True)
@pytest.mark.parametrize("part", range(PARTS))
def test_a_worker_killed_at_any_point_loses_nothing(rig: Rig, part: int) -> None:
    found = failures(rig, points(rig)[part::PARTS])

    assert not found, "\n".join(found)


def pairs(of: Sequence[str], size: int) -> list[tuple[str, str]]:
    """Return pairs by chance. The second is one of a first lease: each worker counts its own."""
    begun = [point for point in of if "1: " in point]
    return [(first, sample(begun, len(begun))[place]) for place, first in enumerate(sample(of, size))]


def test_two_workers_killed_one_after_the_other_lose_nothing(rig: Rig) -> None:
    found = failures(rig, pairs(points(rig), PAIRS))

    assert not found, "\n".join(found)


@pytest.mark.large
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("engine", ["django_q"], indirect=True)
def test_two_workers_killed_one_after_the_other_lose_nothing_at_many_points(rig: Rig) -> None:
    found = failures(rig, pairs(points(rig), MANY_PAIRS))

    assert not found, "\n".join(found)


@pytest.mark.parametrize("engine", ["django_q"], indirect=True)
def test_each_kind_of_point_is_found(rig: Rig) -> None:
    every = points(rig)

    assert sorted(every) == sorted(points(rig))
    for at in (
        "claim 1: before begin",
        "lease 1: after the commit of step_if_granted #1",
        "lease 1: after the model's call #1",
        "lease 1: before the call of read #1",
        "lease 1: after the call of book #1",
        "lease 3: after the call of pay #1",
        "lease 3: after step_and_settle #1",
    ):
        assert at in every
    assert any("INSERT INTO escalations_escalation" in point for point in every)
    assert any("quotas_window" in point for point in every)
    assert any("vault_secret" in point for point in every)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("engine", ["django_q"], indirect=True)
def test_a_worker_killed_at_some_points_loses_no_child_and_makes_none_twice(rig: Rig) -> None:
    every = with_child.points(rig)
    always = [point for point in every if any(at in point for at in with_child.ALWAYS)]
    assert len(always) >= 4

    met, failed = with_child.tried(rig, [*sample(every, WITH_CHILD), *always], enough=ENOUGH)

    assert not failed, "\n".join(failed)
    assert met >= len(always)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("engine", ["django_q"], indirect=True)
def test_a_worker_killed_at_some_points_of_a_hand_off_a_debate_or_an_undoing_loses_nothing(rig: Rig) -> None:
    way = sample(with_child.MORE, 1)[0]
    shape = with_child.SHAPES[way]

    _, failed = with_child.tried(rig, sample(with_child.points(rig, shape), WITH_CHILDREN), enough=ENOUGH, shape=shape)

    assert not failed, "\n".join([way, *failed])


@pytest.mark.large
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("engine", ["django_q"], indirect=True)
@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("way", with_child.MORE)
def test_a_worker_killed_at_any_point_of_a_hand_off_a_debate_or_an_undoing_loses_nothing(
    rig: Rig, way: str, part: int
) -> None:
    shape = with_child.SHAPES[way]

    _, failed = with_child.tried(rig, with_child.points(rig, shape)[part::PARTS], enough=ENOUGH, shape=shape)

    assert not failed, "\n".join(failed)


@pytest.mark.large
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("engine", ["django_q"], indirect=True)
@pytest.mark.parametrize("part", range(PARTS))
def test_a_worker_killed_at_any_point_loses_no_child_and_makes_none_twice(rig: Rig, part: int) -> None:
    every = with_child.points(rig)[part::PARTS]

    met, failed = with_child.tried(rig, every, enough=ENOUGH)

    assert not failed, "\n".join(failed)
    assert met >= len(every) * 3 // 4

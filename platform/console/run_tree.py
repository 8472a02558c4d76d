"""The tree that a run stands in: the runs it is part of, and those that it started; read in the tenant's scope."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from agents.actions.lineage import above
from agents.core.lifecycle import TERMINAL
from agents.models import Run
from agents.presenters import with_names
from console import wording

#: How many runs of a tree are shown; the rest is counted.
MOST: Final = 200


@dataclass(frozen=True, slots=True)
class Line:
    """One run. depth: below how many others it stands; is_here: whether it is the one whose page this is."""

    id: UUID
    agent: str
    version: int
    status: str
    words: str
    icon: str
    lasted: str
    cost: str
    depth: int
    is_here: bool


@dataclass(frozen=True, slots=True)
class Tree:
    """The runs, each in front of those that it started.

    is_root: whether the one whose page this is started them all. live: whether any goes on; more: some are left out.
    """

    lines: Sequence[Line]
    is_root: bool
    live: bool
    more: bool
    digest: str


def tree_of(run: Run) -> Tree | None:
    """Return the whole tree that the run is in; None for one that is part of no other and started none."""
    root = next(reversed(list(above(run))), run)
    below, more = _below(root)
    if not below:
        return None
    shown = with_names(Run.objects.all()).get(id=root.id)
    lines = list(_lines(shown, below, 0, run.id))
    live = any(line.status not in TERMINAL for line in lines)
    told = repr([(line.id, line.words, line.cost) for line in lines])
    return Tree(lines, root.id == run.id, live, more, hashlib.sha256(told.encode()).hexdigest()[:16])


def _below(root: Run) -> tuple[Mapping[UUID, list[Run]], bool]:
    """Return the runs by those that started them, a level at a time, and whether there are more than are shown."""
    found: dict[UUID, list[Run]] = {}
    level, room = [root.id], MOST - 1
    while level:
        rows = list(with_names(Run.objects.filter(parent_id__in=level)).order_by("id")[: room + 1])
        for row in rows[:room]:
            found.setdefault(row.parent_id or root.id, []).append(row)
        if len(rows) > room:
            return found, True
        level, room = [row.id for row in rows], room - len(rows)
    return found, False


def _lines(run: Run, below: Mapping[UUID, list[Run]], depth: int, here: UUID) -> Iterator[Line]:
    yield Line(
        id=run.id,
        agent=run.agent.slug,
        version=run.version.number,
        status=run.status,
        words=wording.status(run.status, run.waiting_for),
        icon=wording.status_icon(run.status, run.waiting_for),
        lasted=wording.duration(run.ended_at - run.created_at) if run.ended_at else "",
        cost=wording.usd(run.cost_nano) if run.cost_nano else "",
        depth=depth,
        is_here=run.id == here,
    )
    for child in below.get(run.id, ()):
        yield from _lines(child, below, depth + 1, here)

"""Which runs a run comes from and consists of, and who had a say in them: what keeps people from deciding twice.

A run can be part of another one, try one again, or undo what one did. Whoever asked for one of these, steered it or
decided on it has a part in what comes of it. Nothing here writes.
"""

from collections.abc import Iterable, Iterator
from typing import Final
from uuid import UUID

from agents.models import Run
from audit.models import Record

#: Records of a run by which a person has put something of theirs into it.
_PARTS: Final = ("decision.answered", "decision.made", "run.guided")

_USER: Final = "user:"


def above(run: Run) -> Iterator[Run]:
    """Yield the runs that this one is part of, nearest first."""
    while run.parent_id is not None:
        run = Run.objects.get(id=run.parent_id)
        yield run


def origins(run: Run) -> Iterator[Run]:
    """Yield the run, those it is part of, and those that any of them tries again or undoes, each once."""
    seen: set[UUID] = set()
    left = [run]
    while left:
        each = left.pop()
        if each.id not in seen:
            seen.add(each.id)
            yield each
            others = (each.parent_id, each.retry_of_id, each.reverses_id)
            left += Run.objects.filter(id__in=[other for other in others if other is not None])


def requesters(run: Run) -> set[UUID]:
    """Return everybody that the run acts for or was asked for by. None of them decides on it.

    So do those of the runs that it is part of, of those that it tries again, whose input it has, and of the one that it
    undoes.
    """
    return {user for each in origins(run) for user in (each.principal_id, each.requested_by_id)}


def chain(run: Run) -> set[UUID]:
    """Return the ids of its `origins`, and of all the runs that these and the run itself had done for them.

    Of the runs above it, that is itself alone: what they had done by others is no part of what this one decided.
    """
    found = list(origins(run))
    ids = {each.id for each in found}
    over = {each.id for each in above(run)}
    parents = ids - over
    while parents:
        below = set(Run.objects.filter(parent_id__in=parents).values_list("id", flat=True)) - ids
        ids |= below
        parents = below
    return ids


def took_part(run_ids: Iterable[UUID]) -> set[UUID]:
    """Return who has answered what these runs asked, or told them something."""
    actors = Record.objects.filter(stream__in=list(run_ids), action__in=_PARTS, actor__startswith=_USER)
    return _users(actors.values_list("actor", flat=True))


def guides_before(run: Run, *, advisers: bool = False) -> set[UUID]:
    """Return who has told something to a run that this one comes from, or that was done for it: see `chain`.

    Its own events say who has told it itself. advisers: whether who answered a question of these runs in words counts.
    """
    ids = chain(run) - {run.id}
    if not ids:
        return set()
    actions = ("run.guided", "decision.made") if advisers else ("run.guided",)
    records = Record.objects.filter(stream__in=ids, action__in=actions).values_list("action", "facts")
    told = [facts["by"] for action, facts in records if action == "run.guided" or facts["decision"] == "respond"]
    return _users(by for by in told if by.startswith(_USER))


def _users(actors: Iterable[str]) -> set[UUID]:
    return {UUID(actor.removeprefix(_USER)) for actor in actors}

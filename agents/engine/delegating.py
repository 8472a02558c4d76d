"""What a step of a parent does about the runs that its calls started: hear of their ends, go on with a debate."""

from collections.abc import Iterable
from uuid import UUID

from agents.core import debate
from agents.core.decide import is_over
from agents.engine import children
from agents.engine.children import Start
from agents.engine.draft import Draft
from agents.engine.leases import Claimed
from agents.engine.store import Step


def heard(step: Step, run: Claimed, draft: Draft, runs: Iterable[UUID]) -> list[Start] | None:
    """Add to the draft what became of those of `runs` that have ended; None when nothing did.

    Returns the runs that the next rounds of debates start.
    """
    ended = step.ended_children(runs)
    draft.add(*children.came(draft.state, run.spec, ended, now=run.now()))
    # Of a run that is over no round follows.
    debates = [] if is_over(draft.state, draft.spec, run.now()) else debate.to_go_on(draft.state)
    if not ended and not debates:
        return None
    starts: list[Start] = []
    for call in debates:
        found = step.ended_children([child.run for child in debate.last_round(call)])
        known = step.callees([call])
        happened, ends = children.went_on(draft.state, run.spec, call, found, known, on=run.now().date())
        draft.add(*happened)
        starts += children.starts(run, draft.state, happened, known, ends)
    return starts

"""What the reader may do about a run: guide it, end it, try it again; in the tenant's scope."""

from dataclasses import dataclass
from typing import Final

from access import grants
from access.errors import AccessDenied
from agents.actions import guidance
from agents.core.events import WORKER_DIED
from agents.core.lifecycle import TERMINAL
from agents.models import Run
from console.members import Member

PART: Final = "This run is part of another one; try that one again."
DONE: Final = "It has its output; there is no step to carry on from."
DIED: Final = "What it was at killed its workers; try it from the start."


@dataclass(frozen=True, slots=True)
class Acts:
    """What the reader may do now.

    why_not_again, why_not_step: why it cannot be tried again at all, or from its last step; empty when it can.
    """

    may_guide: bool
    may_stop: bool
    may_try_again: bool
    why_not_again: str
    why_not_step: str


def acts(run: Run, member: Member) -> Acts:
    """Return what the reader may do about the run; what they have no right to is no act of theirs."""
    over = run.status in TERMINAL
    may_run = member.can("runs:write") and grants.held(member.principal, "run", run.agent)
    why_not_step = DONE if run.status == "completed" else DIED if run.error_code == WORKER_DIED else ""
    return Acts(
        may_guide=not over and may_guide(run, member),
        may_stop=not over and may_run,
        may_try_again=over and may_run,
        why_not_again=PART if run.parent_id is not None else "",
        why_not_step=why_not_step,
    )


def may_guide(run: Run, member: Member) -> bool:
    """Say whether the member may tell the run something."""
    try:
        guidance.check(run, acting_as=member.principal)
    except AccessDenied:
        return False
    return True

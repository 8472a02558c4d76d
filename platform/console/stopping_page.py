"""What is shown of an agent that is stopped, or about to be; read in the tenant's scope."""

import json
from dataclasses import dataclass
from datetime import datetime

from agents.actions import stopping
from agents.models import Agent
from audit import search
from console.members import Member
from console.run_list import name_of
from tenants.models import User


@dataclass(frozen=True, slots=True)
class Stopped:
    """An agent that takes no new runs. reason: empty for who sees no payloads, and when it was erased.

    under_way: its runs that have not ended; may_end: whether the reader may end them.
    """

    since: datetime
    by: str
    reason: str
    under_way: int
    may_end: bool

    @property
    def ends(self) -> str:
        """Return what is asked before the runs are ended."""
        runs = "the run that is" if self.under_way == 1 else f"all {self.under_way} runs that are"
        return f"End {runs} under way? Each ends after the step it is in; what its tools did is undone where they can."


def stopped(agent: Agent, member: Member) -> Stopped | None:
    """Return since when, by whom and why the agent is stopped; None when it is not."""
    if agent.stopped_at is None:
        return None
    record = stopping.last_stop(agent)
    user = (
        User.objects.filter(id=record.actor.removeprefix("user:")).first()
        if record and _is_user(record.actor)
        else None
    )
    payload = search.payload_of(record) if record and member.sees_payloads else None
    return Stopped(
        since=agent.stopped_at,
        by=name_of(user) if user else "",
        reason=json.loads(payload.value)["reason"] if payload else "",
        under_way=stopping.under_way(agent).count(),
        may_end=stopping.may_end(agent, member.principal),
    )


def _is_user(actor: str) -> bool:
    return actor.startswith("user:")

"""Try an agent's rules on what has happened: what would have become of the answers of past runs?

Each run's journal is folded anew, so that a rule sees the input, the answer and what the tools had said as they were.
An answer is judged twice, by the version the run was pinned to and by the rules that are tried, in the same way; what
differs is what would have changed. Behind the first answer that it changes for, a run would have gone another way, so
nobody can tell any more.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from access import permissions
from access.acting import acting
from access.errors import AccessDenied
from agents.actions import agents, tools
from agents.actions.checking import refuse
from agents.actions.versions import spec_of_run
from agents.core import document
from agents.core.conversation import COMPLETE
from agents.core.events import OutputAccepted, OutputRejected, event_of
from agents.core.exact import disclose
from agents.core.fold import fold
from agents.core.guidance import GUIDED
from agents.core.lifecycle import TERMINAL
from agents.core.spec import AgentSpec, agent_spec
from agents.core.state import RunState
from agents.core.trials import Said, said
from agents.errors import NothingToPublish
from agents.models import Agent, Run
from audit import journal
from tenants.principal import Principal

Json = Any
Spec = Mapping[str, Json]

#: Runs that are looked at unless told otherwise, and at most: the newest that have ended.
RUNS: Final = 100
MOST_RUNS: Final = 500

#: For how long answers are begun to be looked at, in seconds; `Trial.next` says where to go on.
LONGEST_S: Final = 10.0

#: What of an agent's document can be laid over what is being worked on, to be tried.
CHANGEABLE: Final = ("rules", "decisions", "thresholds", "escalate_when", "templates", "output_schema")


@dataclass(frozen=True, slots=True)
class Change:
    """An answer that would have gone another way. seq: of the record that says what became of it."""

    run: UUID
    seq: int
    version: int
    before: Said
    after: Said


@dataclass(slots=True)
class Trial:
    """What came of it.

    runs: looked at. answers: of theirs, judged. erased: runs whose history is not there any more as a whole. undecided:
    answers that a rule could not be evaluated for. changes: of each run the first answer that it changes for, newest
    run first. next: the oldest run looked at, when there are more behind it or time was up within it; None otherwise.
    """

    runs: int = 0
    answers: int = 0
    erased: int = 0
    undecided: int = 0
    changes: list[Change] = field(default_factory=list)
    next: UUID | None = None

    @property
    def counts(self) -> dict[str, int]:
        """How many runs change from what to what, such as `pass_to_retry`."""
        found: dict[str, int] = {}
        for change in self.changes:
            key = f"{change.before.then}_to_{change.after.then}"
            found[key] = found.get(key, 0) + 1
        return found


def trial(
    agent: Agent,
    spec: Spec | None = None,
    *,
    changes: Spec | None = None,
    runs: int = RUNS,
    before: UUID | None = None,
    clock: Callable[[], float] = time.monotonic,
    acting_as: Principal,
) -> Trial:
    """Return what the rules of `spec` would have made of the agent's newest runs that have ended. Changes nothing.

    spec: of the agent; what is being worked on when None. changes: what of `CHANGEABLE` is put in its place there.
    before: a run, to look at those that are older. For who may edit the agent and sees what runs say; it is recorded.
    Raises `NothingToPublish`, `InvalidDocument`, `AccessDenied`, and what `agents.may_edit` raises.
    """
    with acting(acting_as, "runs:read") as actor:
        check(agent, acting_as=acting_as)
        wanted = spec if spec is not None else agents.spec_of(agent)
        if wanted is None:
            raise NothingToPublish
        wanted = {**wanted, **(changes or {})}
        refuse(document.agent_problems(wanted, tools.specs()), f"The agent {agent.slug} is not valid.")
        found = _tried(_spec(agent, wanted), _ended(agent, before), min(runs, MOST_RUNS), clock)
        journal.record(
            "agent.tried",
            stream=agent.id,
            actor=actor,
            facts={
                "digest": document.digest(agent.slug, wanted),
                "runs": found.runs,
                "answers": found.answers,
                "changed": len(found.changes),
            },
            payload={"slug": agent.slug, "spec": wanted},
        )
        return found


def check(agent: Agent, *, acting_as: Principal) -> None:
    """Raise `AccessDenied`, or what `agents.may_edit` raises, unless they may try the agent's rules; in its scope."""
    agents.may_edit(agent.slug, acting_as)
    permissions.check(acting_as, "runs:read")
    if not permissions.sees_payloads(acting_as):
        raise AccessDenied("Rules tell what outputs hold, which your role does not see.", permission="runs:read")


def _spec(agent: Agent, spec: Spec) -> AgentSpec:
    """Return what judges an answer: the document as a version would pin it, without prompt and tools."""
    whole = {"agent_id": str(agent.id), "slug": agent.slug, "version": 0, "system": "", "tools": []}
    return agent_spec({**whole, "document": document.agent_document(spec)})


def _ended(agent: Agent, before: UUID | None) -> list[Run]:
    rows = Run.objects.filter(agent=agent, status__in=TERMINAL, model_calls__gt=0)
    rows = rows if before is None else rows.filter(id__lt=before)
    return list(rows.order_by("-id").select_related("version").defer("version__compiled")[: MOST_RUNS + 1])


def _tried(tried: AgentSpec, ended: list[Run], most: int, clock: Callable[[], float]) -> Trial:
    """Try it on so many of these runs, and as many as there is time for."""
    found, until = Trial(), clock() + LONGEST_S
    for run in ended:
        cut = _look(tried, run, found, lambda: clock() >= until)
        found.runs += 1
        if cut or (found.runs < len(ended) and (found.runs == most or clock() >= until)):
            found.next = run.id
            break
    return found


def _look(tried: AgentSpec, run: Run, found: Trial, is_late: Callable[[], bool]) -> bool:
    """Judge the answers of a run until one would have gone another way; say whether time was up before the others."""
    pinned = spec_of_run(run)
    for place, (state, content, seq) in enumerate(_answers(run, pinned, found)):
        if place and is_late():
            return True
        before, after = said(pinned, state, content), said(tried, state, content)
        found.answers += 1
        found.undecided += bool(after.undecided)
        if before.then != after.then:
            found.changes.append(Change(run.id, seq, run.version.number, before, after))
            break
    return False


def _answers(run: Run, pinned: AgentSpec, found: Trial) -> Iterator[tuple[RunState, Json, int]]:
    """Yield each finished answer that was judged: the run then, its blocks, the number of what was recorded of it."""
    state = RunState(run.id, undoable=pinned.undoable)
    for stored in journal.read(run.id, limit=1_000_000):
        if stored.erased:
            found.erased += 1
            return  # what stands behind it cannot be told any more
        event = event_of(stored.action, stored.v, stored.facts, stored.payload)
        if isinstance(event, OutputAccepted | OutputRejected) and (content := _judged(state, event)) is not None:
            yield state, content, state.seq + 1
        state = fold(state, event)


def _judged(state: RunState, event: OutputAccepted | OutputRejected) -> Json:
    """Return the answer that the event is about; None where the agent's rules had no say in what became of it."""
    answer = state.answered
    if answer is None or answer.stop_reason not in COMPLETE:
        return None  # a person wrote it, or it was cut off
    if isinstance(event, OutputRejected) and (event.code == GUIDED or event.handed_to is not None):
        return None
    return disclose(answer.content)

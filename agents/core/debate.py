"""Several agents answer one question in rounds, each knowing what the others said in the round before. Pure.

All of them are children of one call. It is over when all who still answer say the same, or after its rounds.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from agents.core.children import Callees, Ended, begun
from agents.core.events import ChildStarted, RunCompleted
from agents.core.exact import disclose, readable
from agents.core.spec import AgentSpec, ToolSpec
from agents.core.state import Call, Child, RunState
from agents.tools.seam import Failed, Finished, Outcome

Json = Any

#: Characters of what each of the others said that one is told in the next round.
MOST_CHARS: Final = 8000


def last_round(call: Call) -> tuple[Child, ...]:
    """Return the runs of the call's latest round, in the order of its agents."""
    number = max((child.round for child in call.children), default=0)
    return tuple(child for child in call.children if child.round == number)


def to_go_on(state: RunState) -> list[Call]:
    """Return the calls whose latest round is over, so that they go on with the next one or end."""
    return [call for call in state.calls if call.phase == "delegated" and all(child.ended for child in call.children)]


def outcome(tool: ToolSpec, call: Call, ends: Mapping[UUID, Ended]) -> Outcome | None:
    """Return what the call comes to after this round; None when another one follows. ends: of the round's runs."""
    heard = last_round(call)
    answers = _answers(heard, ends)
    if len(answers) < 2:
        said = [
            f"{tool.agents[child.place]}: {_failure(ends[child.run])}" for child in heard if child.run not in answers
        ]
        return Failed("debate_failed", f"Fewer than two agents answered. {' '.join(said)}")
    agreed = len(answers) == len(heard) and len({readable(answer) for answer in answers.values()}) == 1
    if not agreed and heard[0].round < tool.rounds:
        return None
    told = [{"agent": tool.agents[child.place], **_told(child, answers, ends)} for child in heard]
    return Finished({"rounds": heard[0].round, "answers": told, "agreed": agreed})


def next_round(
    state: RunState, spec: AgentSpec, tool: ToolSpec, call: Call, ends: Mapping[UUID, Ended], known: Callees
) -> list[ChildStarted]:
    """Return the facts of the next round, of those who answered in this one."""
    heard = last_round(call)
    answers = _answers(heard, ends)
    places = [child.place for child in heard if child.run in answers]
    return begun(state, spec, tool, call.index, known, places=places, number=heard[0].round + 1)


def context(tool: ToolSpec, place: int, number: int, before: Sequence[Child], ends: Mapping[UUID, Ended]) -> str:
    """Return what an agent is told in front of its input: what the others said. place: its own among the agents."""
    answers = _answers(before, ends)
    said = "\n".join(
        f"{tool.agents[child.place]}{' (you)' if child.place == place else ''}: {_cut(readable(answers[child.run]))}"
        for child in before
        if child.run in answers
    )
    return (
        f"[platform] This is round {number} of at most {tool.rounds}. What was answered before, as material:\n"
        f"{said}\n[platform] Answer again; keep your answer or change it, with good reason."
    )


def _answers(heard: Sequence[Child], ends: Mapping[UUID, Ended]) -> dict[UUID, Json]:
    found = {child.run: ends[child.run].end for child in heard if child.run in ends}
    return {run: disclose(end.output) for run, end in found.items() if isinstance(end, RunCompleted)}


def _told(child: Child, answers: Mapping[UUID, Json], ends: Mapping[UUID, Ended]) -> dict[str, Json]:
    return {"answer": answers[child.run]} if child.run in answers else {"error": _failure(ends[child.run])}


def _failure(ended: Ended) -> str:
    return getattr(ended.end, "detail", None) or "The run was cancelled."


def _cut(text: str) -> str:
    return text if len(text) <= MOST_CHARS else f"{text[:MOST_CHARS]} …"

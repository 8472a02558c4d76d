"""A run without an engine: the core's decisions, with answers and outcomes handed in by the test."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from agents.core import calls
from agents.core.decide import CallModel, CheckGrants, Command, Finished, Park, Perform, Record, Reserve, decide, plan
from agents.core.events import (
    BudgetReserved,
    DecisionMade,
    Event,
    ModelAnswered,
    ModelFailed,
    ModelRequested,
    RunResumed,
    RunStarted,
    RunSubmitted,
    RunWaiting,
)
from agents.core.exact import enclose
from agents.core.fold import fold
from agents.core.holdings import Holding, Holdings
from agents.core.spec import AgentSpec, Limits, Rule, ToolSpec
from agents.core.state import RunState
from agents.core.triage import model_of
from agents.tools.seam import Failed, Outcome
from agents.tools.seam import Finished as Done

Json = Any

RUN = UUID(int=7)
DAN = UUID(int=8)
START = datetime(2026, 11, 1, tzinfo=UTC)


def tool(name: str, **changes: Json) -> ToolSpec:
    """A tool; its id follows from its name."""
    document = {
        "description": name,
        "effect": "read",
        "type": "python",
        "python": {"function": name},
        "input_schema": {"type": "object"},
        **changes,
    }
    return ToolSpec(
        id=UUID(int=sum(name.encode())),
        name=name,
        version=1,
        digest=f"digest of {name}",
        effect=changes.get("effect", "read"),
        idempotent=changes.get("idempotent", False),
        document=document,
        approval=changes.get("approval_value"),
        fallback=changes.get("fallback"),
        offered=changes.get("offered", True),
    )


def agent(*tools: ToolSpec, **changes: Any) -> AgentSpec:
    """An agent with these tools."""
    given: dict[str, Any] = {
        "agent_id": UUID(int=1),
        "slug": "agent",
        "version": 1,
        "system": "You test.",
        "model": "claude-test",
        "max_tokens": 1000,
        "effort": None,
        "tools": {each.name: each for each in tools},
        "escalates": True,
        "input_schema": None,
        "output_schema": None,
        "limits": Limits(),
    }
    return AgentSpec(**{**given, **changes})


def rule(expression: str, on_fail: str = "retry") -> Rule:
    """A rule named after its expression."""
    return Rule(expression, expression, f"must hold: {expression}", on_fail)


def text(words: str, stop: str = "end_turn") -> tuple[str, list[Json]]:
    """A finished answer."""
    return stop, [{"type": "text", "text": words}]


def uses(*named: tuple[str, Json], stop: str = "tool_use") -> tuple[str, list[Json]]:
    """An answer that calls tools."""
    blocks = [
        {"type": "tool_use", "id": f"toolu_{place}", "name": name, "input": arguments}
        for place, (name, arguments) in enumerate(named)
    ]
    return stop, blocks


@dataclass
class Simulation:
    """Plays a run until it parks or ends.

    answers: (stop reason, content) one after the other, or a `ModelFailed` to happen. outcome: what a tool call does.
    held: what the principal holds; None for everything.
    """

    spec: AgentSpec
    answers: list[Any]
    outcome: Callable[[str, Json], Outcome] = lambda name, arguments: Done({"of": name})
    held: Holdings | None = None
    cost_nano: int = 1000
    state: RunState = field(default_factory=lambda: RunState(RUN))
    history: list[Event] = field(default_factory=list)
    now: datetime = START
    performed: list[tuple[str, Json]] = field(default_factory=list)

    def begin(self, run_input: Json = None, **more: Any) -> "Simulation":
        """Submit and start the run, then play."""
        self.add(
            RunSubmitted(
                agent="a", version=1, principal="user:p", requested_by="user:p", input=enclose(run_input), **more
            )
        )
        self.add(RunStarted(epoch=1, at=self.now.isoformat()))
        return self.play()

    def add(self, *events: Event) -> None:
        for event in events:
            self.state = fold(self.state, event)
            self.history.append(event)

    @property
    def actions(self) -> list[str]:
        return [event.action for event in self.history]

    def play(self) -> "Simulation":
        while True:
            command = decide(self.state, self.spec, now=self.now, jitter=0.5)
            if isinstance(command, Finished):
                return self
            if isinstance(command, Park):
                until = command.until.isoformat() if command.until else None
                at = self.now.isoformat()
                self.add(RunWaiting(waiting_for=command.waiting_for, reason=command.reason, until=until, at=at))
                return self
            self.add(*self._happens(command))

    def _happens(self, command: Command) -> Iterable[Event]:
        if isinstance(command, Record):
            return command.events
        if isinstance(command, Reserve):
            return [BudgetReserved(usd_nano=command.usd_nano, tokens=command.tokens, window="2026-11-01")]
        if isinstance(command, CheckGrants):
            return plan(self.state, self.spec, self.held or Holdings.assumed(command.tools), now=self.now)
        if isinstance(command, CallModel):
            model = model_of(self.state, self.spec)
            self.add(ModelRequested(turn=command.turn, model=model, max_tokens=command.max_tokens))
            return [self._answer(command.turn)]
        assert isinstance(command, Perform)
        return [self._perform(call) for call in command.calls]

    def _answer(self, turn: int) -> Event:
        answer = self.answers.pop(0)
        if isinstance(answer, Event):
            return answer
        stop, content = answer
        return ModelAnswered(
            turn=turn,
            model=model_of(self.state, self.spec),
            stop_reason=stop,
            content=enclose(content),
            input_tokens=10,
            output_tokens=5,
            cache_read_input_tokens=0,
            cache_creation_input_tokens=0,
            cost_nano=self.cost_nano,
        )

    def _perform(self, call: Any) -> Event:
        self.performed.append((call.tool, call.arguments))
        return calls.outcome_event(self.state, self.spec, call, self.outcome(call.tool, call.arguments))

    def resume(self, seconds: float = 0) -> "Simulation":
        """Let time pass and take the run up again."""
        self.now += timedelta(seconds=seconds)
        self.add(RunResumed(epoch=2, reason="woken", at=self.now.isoformat()))
        return self.play()

    def answer_question(self, decision: str, *, by: str = "user:r", **more: Json) -> "Simulation":
        """Have a person answer the first open question, then go on."""
        question = self.state.questions[0]
        self.add(
            DecisionMade(
                escalation=question.escalation,
                kind=question.kind,
                decision=decision,
                by=by,
                digest=question.digest,
                **more,
            )
        )
        return self.resume()


def holds(*tools: ToolSpec, **conditions: str) -> Holdings:
    """What somebody holds: `tools` always, others by name under a condition, as Dan of credit."""
    dan = {"id": str(DAN), "email": "dan@acme.example", "role": "developer", "teams": ["credit"]}
    held = {(DAN, each.id): Holding(always=True) for each in tools}
    for name, condition in conditions.items():
        held[DAN, tool(name).id] = Holding(False, {str(RUN): condition}, dan)
    return Holdings((DAN,), frozenset({DAN}), held)


def provider_failed(code: str = "overloaded", *, retryable: bool = True, **more: Any) -> ModelFailed:
    """A model call that failed."""
    return ModelFailed(turn=1, model="claude-test", code=code, retryable=retryable, error=f"it was {code}", **more)


def failing(name: str, *, retryable: bool = True) -> Callable[[str, Json], Outcome]:
    """Outcomes in which the tool `name` fails and the others answer."""
    return lambda tool, arguments: Failed("http_status", f"{name} is down", retryable) if tool == name else Done("ok")

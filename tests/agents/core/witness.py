"""A second reading of a run's journal, by rules of its own: nothing here is the core's.

It sees one event after the other and fails at the first that cannot be: after an end, a result without its intent or a
second one, an answer nobody asked for or to another digest, a call that needed a person's yes and had none, an end
before all that was to be undone is undone or a person has spoken.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from agents.core import events
from agents.core.events import Event

Json = Any
Place = tuple[int, int | None]

ENDS: Final = frozenset({"run.completed", "run.failed", "run.cancelled"})
WHILE_PARKED: Final = frozenset(
    {"run.submitted", "run.started", "run.resumed", "run.cancel_requested", "decision.made"}
)


@dataclass
class Witness:
    """What has been seen of one run; places are (turn, call).

    needs_yes: whether calls of this tool with these arguments surely need an approval. keys: of every intent so far;
    latest: by place. again: keys that a person has said had no effect. approved: digests by place. held: nano-USD and
    tokens. ending: what is undone before the end; done: the places of which something or somebody has said what came.
    aside: the question whether a run that wore its workers out is tried again; what was in the air stays there.
    """

    needs_yes: Callable[[str, Json], bool] = lambda tool, arguments: False
    seen: int = 0
    ended: bool = False
    running: bool = False
    calling_model: bool = False
    held: tuple[int, int] = (0, 0)
    cost_nano: int = 0
    last_cost_nano: int = 0
    epoch: int = 0
    asked: dict[str, events.DecisionRequested | None] = field(default_factory=dict)
    approved: dict[Place, str] = field(default_factory=dict)
    intents: dict[Place, events.ToolRequested] = field(default_factory=dict)
    latest: dict[Place, str] = field(default_factory=dict)
    ending: events.RunCompensating | None = None
    done: set[Place] = field(default_factory=set)
    aside: str | None = None
    keys: set[str] = field(default_factory=set)
    again: set[str] = field(default_factory=set)

    def see(self, event: Event) -> None:
        """Take the next event in."""
        assert not self.ended, f"{event.action} after the end"
        assert self.running or event.action in WHILE_PARKED, f"{event.action} while nobody has the run"
        self.seen += 1
        if event.action in _LOOKS:
            _LOOKS[event.action](self, event)
        if event.action in ENDS:
            self._end(event)

    def _submitted(self, event: events.RunSubmitted) -> None:
        assert self.seen == 1

    def _taken_up(self, event: events.RunStarted | events.RunResumed) -> None:
        assert event.epoch > self.epoch, "a lease that was had before"
        self.epoch, self.running = event.epoch, True

    def _parked(self, event: events.RunWaiting) -> None:
        assert self.aside or not self.calling_model
        assert self.aside or not self.intents, "parked with a call in the air"
        self.running = False

    def _compensating(self, event: events.RunCompensating) -> None:
        assert self.ending is None
        assert not self.calling_model
        assert not self.intents, "undone with a call in the air"
        self.ending = event
        self.approved.clear()
        self.asked = dict.fromkeys(self.asked)  # withdrawn

    def _model_requested(self, event: events.ModelRequested) -> None:
        assert self.ending is None, "the model is asked while the run is undone"
        assert not self.calling_model
        assert not self.intents
        self.calling_model = True

    def _model_done(self, event: events.ModelAnswered | events.ModelFailed) -> None:
        assert self.calling_model, "an answer that nothing asked for"
        self.calling_model = False
        self.cost_nano += event.cost_nano
        self.last_cost_nano = event.cost_nano

    def _tool_requested(self, event: events.ToolRequested) -> None:
        place = event.turn, event.call
        assert place not in self.intents
        assert event.idempotency_key not in self.keys or event.idempotency_key in self.again, "a key used before"
        self.again.discard(event.idempotency_key)
        self.keys.add(event.idempotency_key)
        yes = self.approved.pop(place, None)
        assert yes in {None, event.digest}, "approved was something else"
        assert yes or not self.needs_yes(event.tool, event.arguments), "nobody approved it"
        self.intents[place] = event
        self.latest[place] = event.idempotency_key
        if self.ending is not None:
            assert place[0] == self.ending.turn
            assert len(self.intents) == 1, "two are undone at once"
            assert self.done.issuperset((place[0], before) for before in range(event.call)), "undone out of turn"

    def _tool_done(
        self, event: events.ToolFinished | events.ToolFailed | events.ToolUnknown | events.ToolCompensated
    ) -> None:
        place = event.turn, event.call
        intent = self.intents.pop(place, None)
        assert intent is not None, "a result without its intent"
        assert (intent.call_id, intent.tool, intent.version) == (event.call_id, event.tool, event.version)
        assert isinstance(event, events.ToolCompensated) <= (self.ending is not None)
        if isinstance(event, events.ToolCompensated):
            self.done.add(place)

    def _tool_denied(self, event: events.ToolDenied) -> None:
        self.intents.pop((event.turn, event.call), None)  # there is one when it is refused at its repetition
        self.approved.pop((event.turn, event.call), None)

    def _person_asked(self, event: events.DecisionRequested) -> None:
        assert event.escalation not in self.asked, "the same question twice"
        self.asked[event.escalation] = event
        if event.reason == events.WORKER_DIED:
            assert self.aside is None
            self.aside = event.escalation

    def _answered(self, event: events.DecisionMade) -> None:
        question = self._closed(event.escalation)
        place = question.turn, question.call
        if event.escalation == self.aside and event.decision != "reject":
            self.aside = None
        assert (event.digest, event.kind) == (question.digest, question.kind)
        assert event.decision in question.allowed
        if event.kind == "tool_call" and event.decision == "approve":
            self.approved[place] = event.digest
        else:
            self.done.add(place)
        if event.kind == "reconcile" and event.decision == "reject" and place in self.latest:
            self.again.add(self.latest[place])

    def _expired(self, event: events.DecisionExpired) -> None:
        self._closed(event.escalation)

    def _closed(self, escalation: str) -> events.DecisionRequested:
        question = self.asked.get(escalation)
        assert question is not None, "an answer to no open question"
        self.asked[escalation] = None
        return question

    def _reserved(self, event: events.BudgetReserved) -> None:
        self.held = self.held[0] + event.usd_nano, self.held[1] + event.tokens

    def _settled(self, event: events.BudgetSettled) -> None:
        assert event.usd_nano == self.cost_nano
        assert event.usd_nano <= self.held[0] + self.last_cost_nano, "passed its limit by more than the last call"
        self.held = (0, 0)

    def _end(self, event: Event) -> None:
        assert self.held == (0, 0), "ended with something reserved"
        self.ended = True
        if self.aside is not None:
            assert event.action != "run.completed"
            return  # given up, with whatever was in the air
        assert not self.calling_model
        assert not self.intents, "ended with a call in the air"
        if self.ending is not None:
            assert event.action == f"run.{self.ending.status}", "it ends as another than it was to"
            assert getattr(event, "code", None) == self.ending.code
            assert self.done.issuperset((self.ending.turn, place) for place in range(self.ending.calls))


_LOOKS: Final[Mapping[str, Callable[[Witness, Any], None]]] = {
    "run.submitted": Witness._submitted,
    "run.started": Witness._taken_up,
    "run.resumed": Witness._taken_up,
    "run.waiting": Witness._parked,
    "run.compensating": Witness._compensating,
    "model.requested": Witness._model_requested,
    "model.answered": Witness._model_done,
    "model.failed": Witness._model_done,
    "tool.requested": Witness._tool_requested,
    "tool.finished": Witness._tool_done,
    "tool.failed": Witness._tool_done,
    "tool.unknown": Witness._tool_done,
    "tool.compensated": Witness._tool_done,
    "tool.denied": Witness._tool_denied,
    "decision.requested": Witness._person_asked,
    "decision.made": Witness._answered,
    "decision.expired": Witness._expired,
    "budget.reserved": Witness._reserved,
    "budget.settled": Witness._settled,
}

"""Chooses the script and the turn that answer a conversation, and decides whether a fault comes first."""

from collections import Counter, OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from agents.core.model import JsonObject
from agents.providers.rehearsal.answers import Answer, compose, stopped_early
from agents.providers.rehearsal.conversation import Conversation
from agents.providers.rehearsal.errors import Rejected, invalid
from agents.providers.rehearsal.matching import choose, fits
from agents.providers.rehearsal.scripts import STOPPING_FAULTS, Script, Turn

MAX_COUNTERS = 100_000
_SHOWN = 300


@dataclass(frozen=True, slots=True)
class Play:
    """What to send. fault: how the sending goes wrong, or None."""

    script: Script
    turn: Turn
    answer: Answer
    fault: JsonObject | None


class Player:
    """Plays scripts. Its only state counts faults that are to occur a number of times; the event loop's thread owns it.

    A fault is counted per point of a conversation. When its turn has been answered the count starts anew, so that the
    next run of the same input meets the same faults.
    """

    def __init__(self, scripts: Sequence[Script]) -> None:
        self.scripts = scripts
        self.calls: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self._met: OrderedDict[tuple[str, int, str], int] = OrderedDict()

    def play(self, conversation: Conversation) -> Play:
        """Return what to send. Raises `Rejected` when no script or no turn fits."""
        script = next((each for each in self.scripts if fits(each, conversation)), None)
        if script is None:
            raise _nothing_fits(self.scripts, conversation)
        self.calls[script.name] += 1
        turn = choose(script, conversation)
        if turn is None:
            raise _no_turn(script, conversation)
        answer = compose(turn, conversation)
        fault = self._next_fault(script, turn, conversation)
        if fault is None:
            return Play(script, turn, answer, None)
        self.faults[fault["kind"]] += 1
        if fault["kind"] in STOPPING_FAULTS:
            return Play(script, turn, stopped_early(answer, fault), None)
        return Play(script, turn, answer, fault)

    def _next_fault(self, script: Script, turn: Turn, conversation: Conversation) -> JsonObject | None:
        if not turn.faults:
            return None
        key = (script.name, turn.number, conversation.digest)
        met = self._met.get(key, 0)
        passed = 0
        for fault in turn.faults:
            times = fault.get("times", 1)
            if times == "always" or met < passed + times:
                self._remember(key, met + 1)
                return fault
            passed += times
        del self._met[key]
        return None

    def _remember(self, key: tuple[str, int, str], met: int) -> None:
        self._met[key] = met
        self._met.move_to_end(key)
        while len(self._met) > MAX_COUNTERS:
            self._met.popitem(last=False)


def _nothing_fits(scripts: Sequence[Script], conversation: Conversation) -> Rejected:
    known = ", ".join(script.name for script in scripts) or "none"
    return invalid(
        f"rehearsal: no script matches. Looked at system {conversation.system[:_SHOWN]!r}, first user message "
        f"{conversation.first_user_text[:_SHOWN]!r}, model {conversation.model!r}, tools {list(conversation.tools)}. "
        f"Scripts: {known}."
    )


def _no_turn(script: Script, conversation: Conversation) -> Rejected:
    results = {result.tool: result.text[:_SHOWN] for result in conversation.results}
    return invalid(
        f"rehearsal: script {script.name!r} ({script.where}) has nothing to say at turn {conversation.turn}. Looked at "
        f"the last user message {conversation.last_user_text[:_SHOWN]!r}, fresh results of "
        f"{list(conversation.fresh_tools)}, latest results {results}."
    )

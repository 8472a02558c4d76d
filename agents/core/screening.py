"""What an agent's `guards` make of a run's input and output: found, and then let through, masked, sent back or asked
about. Pure.

What was found, by which version of the finders, is part of the event that tells it: no fold ever looks again, so that
another version of a library changes no history. Records hold the finders' names and how often; where, and in what
words, is erasable.
"""

import json
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from agents.core.asking import ask
from agents.core.events import DecisionRequested
from agents.core.screens import Screen
from agents.core.spec import AgentSpec
from agents.core.state import INPUT_SUSPICIOUS, RunState
from detectors.finding import Finders, Found, find, find_in_members, versions
from detectors.masking import mapped, masked
from detectors.texts import strings

Json = Any

#: What an output's question is about that holds what its agent's guards ask about; also the code of one sent back.
GUARDED: Final = "guarded"

#: What is blocked is masked, too, where people are shown why it was.
_MASKED: Final = frozenset({"mask", "block"})

#: Which of a value's places are told one by one.
MOST_TOLD: Final = 20

WORDS: Final[Mapping[str, str]] = {
    "secrets": "what looks like a credential",
    "email": "an e-mail address",
    "phone": "a telephone number",
    "iban": "an IBAN",
    "credit_card": "a card number",
    "national_id": "a number of a person",
    "ip_address": "an IP address",
    "instructions": "words that instruct a model",
    "control_characters": "control characters",
    "hidden_text": "signs that nobody sees",
}


@dataclass(frozen=True, slots=True)
class Hit:
    """Something that was found. place: JSON pointer to it in the value."""

    finder: str
    then: str
    place: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found in a value, and how often. value: it, with the masks that rules want.

    wrong: (place, why) it may not be at all.
    """

    value: Json
    hits: Mapping[Hit, int] = field(default_factory=dict)
    wrong: tuple[tuple[str, str], ...] = ()

    @property
    def counts(self) -> Sequence[Mapping[str, Json]]:
        """What records may keep of it for ever: `{finder, then, count}`; the empty tuple for nothing."""
        counted: Counter[tuple[str, str]] = Counter()
        for hit, n in self.hits.items():
            counted[hit.finder, hit.then] += n
        return [{"finder": finder, "then": then, "count": n} for (finder, then), n in sorted(counted.items())] or ()

    def told(self, then: str) -> list[Hit]:
        """Return the hits that this becomes of, one of each finder and place."""
        return [hit for hit in self.hits if hit.then == then][:MOST_TOLD]


def screened(value: Json, screen: Screen) -> Verdict:
    """Look through a JSON value. Takes time that grows with its length alone."""
    wrong = tuple(_too_large(value, screen))
    if wrong:
        return Verdict(value, wrong=wrong)
    pieces = list(strings(value))
    then_at: dict[tuple[str, int], str | None] = {}
    hits: Counter[Hit] = Counter()
    masks: dict[int, list[Found]] = {}
    for index, found in _found(pieces, screen.finders):
        place = pieces[index][0]
        if (found.finder, index) not in then_at:
            then_at[found.finder, index] = screen.then(found.finder, place)
        then = then_at[found.finder, index]
        if then is None:
            continue
        hits[Hit(found.finder, then, place)] += 1
        if then in _MASKED:
            masks.setdefault(index, []).append(found)
    if masks:
        texts = (masked(text, masks.get(index, ())) for index, (_, text) in enumerate(pieces))
        value = mapped(value, texts)
    return Verdict(value, hits)


def recorded(verdict: Verdict) -> dict[str, Json]:
    """Return the fields `guard` and `detectors` of the event that tells of the verdict."""
    return {"guard": verdict.counts, "detectors": versions()}


def words(hit: Hit) -> str:
    """Return what it is, for people and models; never the thing itself."""
    return WORDS.get(hit.finder, f"what the pattern {hit.finder} finds")


def question(state: RunState, spec: AgentSpec) -> DecisionRequested:
    """Return the question whether a run may go on whose input holds what its agent's guards ask about."""
    names = ", ".join(dict.fromkeys(WORDS.get(name, name) for name in state.suspected))
    what = "The input" if state.parent is None else "The input, or what was said before it,"
    detail = f"{what} holds {names}. Approve to let the model read it, or reject to end the run."
    asked = ask(state, spec, "question", INPUT_SUSPICIOUS, detail, {"found": list(state.suspected)})
    return replace(asked, allowed=("approve", "respond", "reject"))


def _found(pieces: Sequence[tuple[str, str]], finders: Finders) -> Iterator[tuple[int, Found]]:
    """Yield (index of the text, where in it) of all that is found."""
    members = find_in_members(pieces, finders)
    starts = _starts(pieces)
    # All texts in one go, a line each: one search is much faster than one a text.
    for found in find("\n".join(text for _, text in pieces), finders):
        for index in range(bisect_right(starts, found.start) - 1, len(pieces)):
            start = starts[index]
            if start >= found.end:
                break
            part = Found(found.finder, max(found.start - start, 0), min(found.end - start, len(pieces[index][1])))
            if part.start >= part.end:
                continue
            yield index, part
            named = members.get(index)
            if named is not None and part.finder == named.finder and part.start < named.end and named.start < part.end:
                del members[index]  # by its form and by its name it is one
    yield from members.items()


def _starts(pieces: Sequence[tuple[str, str]]) -> list[int]:
    starts, at = [], 0
    for _, text in pieces:
        starts.append(at)
        at += len(text) + 1
    return starts


def _too_large(value: Json, screen: Screen) -> Iterator[tuple[str, str]]:
    if screen.max_bytes is not None:
        size = len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass"))
        if size > screen.max_bytes:
            yield "", f"This is {size} bytes of JSON; the agent takes {screen.max_bytes}."
    if screen.max_depth is not None and _depth(value) > screen.max_depth:
        yield "", f"This is nested more than {screen.max_depth} levels deep, which is what the agent takes."


def _depth(value: Json) -> int:
    depth, level = 0, [value]
    while level := [each for each in level if isinstance(each, dict | list)]:
        depth += 1
        level = [item for each in level for item in (each.values() if isinstance(each, dict) else each)]
    return depth

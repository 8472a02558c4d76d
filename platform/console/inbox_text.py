"""What a question to people is called, what its answers bring about, and what an edit changes. Pure."""

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from agents.core.approvals import IRREVERSIBLE, RULES
from console import wording
from console.events import pretty

Json = Any

SUMMARY_LENGTH: Final = 160
_PARTS: Final = 3
_MONEY: Final = {"value", "currency"}
_PART_LENGTH: Final = 48

#: Below this much time left, what is due is shown as pressing.
SOON: Final = timedelta(minutes=15)

DECIDED: Final[Mapping[str, str]] = {
    "approve": "Approved",
    "reject": "Rejected",
    "edit": "Approved with edits",
    "respond": "Answered",
}
ENDED: Final[Mapping[str, str]] = {"expired": "Expired", "withdrawn": "Withdrawn", "decided": "Decided"}


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a person is asked. values: (argument, value) that the expression speaks of."""

    title: str
    text: str
    expression: str = ""
    values: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Button:
    """An answer. verb: as the interface calls it. effect: what it brings about, in a sentence."""

    verb: str
    label: str
    icon: str
    key: str
    effect: str


@dataclass(frozen=True, slots=True)
class Due:
    """When an answer is due, in words; tone: `soon`, `late` or nothing."""

    words: str
    tone: str = ""


@dataclass(frozen=True, slots=True)
class Changed:
    """One line of a difference. mark: `+`, `-` or a space."""

    mark: str
    line: str


def needs_reason(kind: str, risk: str) -> bool:
    """Say whether an approval of such a question needs a reason too. risk: high, medium or low."""
    return risk == "high" and kind != "reconcile"


def title(kind: str, reason: str, proposal: Mapping[str, Json]) -> str:
    """Return what the question is called in a list: the tool, or what is asked."""
    tool = proposal.get("tool")
    if kind == "tool_call" and tool:
        return str(tool)
    if kind == "reconcile" and tool:
        return f"Did {tool} happen?"
    if kind == "question" and reason == "model_asked":
        return "The agent asks"
    if kind == "question":
        return wording.code(reason).capitalize()
    return {"output": "Output to confirm", "budget": "Budget to extend", "appeal": "Appeal to decide"}.get(
        kind, "A decision"
    )


def summary(kind: str, detail: str, proposal: Mapping[str, Json]) -> str:
    """Return the question in one line: what would be done with which values, else the reason in a sentence."""
    if kind in {"tool_call", "reconcile"} and (parts := list(_parts(proposal.get("arguments")))):
        return _cut(", ".join(parts), SUMMARY_LENGTH)
    if kind == "output" and (parts := list(_parts(proposal.get("output")))):
        return _cut(", ".join(parts), SUMMARY_LENGTH)
    return _cut(" ".join(detail.split()), SUMMARY_LENGTH)


def headline(kind: str, reason: str, detail: str, proposal: Mapping[str, Json]) -> str:
    """Return the heading of the question's own page."""
    said = summary(kind, detail, proposal)
    if kind == "question" and reason == "model_asked" and said:
        return said
    name = title(kind, reason, proposal)
    if kind == "tool_call":
        name = wording.code(name).capitalize()
    return f"{name}: {said}" if said and kind in {"tool_call", "output"} else name


def _parts(value: Json, path: str = "") -> Iterator[str]:
    found = list(_scalars(value, path))
    yield from (f"{wording.code(name)} {_cut(text, _PART_LENGTH)}" for name, text in found[:_PARTS])


def _scalars(value: Json, name: str) -> Iterator[tuple[str, str]]:
    if value is None and not name:
        return
    if isinstance(value, Mapping) and value.keys() == _MONEY:
        yield name, f"{value['value']} {value['currency']}"
    elif isinstance(value, Mapping):
        for key, part in value.items():
            yield from _scalars(part, str(key))
    elif isinstance(value, bool) or value is None:
        yield name, {True: "yes", False: "no", None: "none"}[value]
    elif isinstance(value, str | int | float):
        yield name, " ".join(str(value).split())
    elif isinstance(value, list):
        yield name, f"{len(value)} entries"


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"


def due(at: datetime | None, now: datetime) -> Due:
    """Return how much time is left, or by how much it is overdue; no words when nothing is due."""
    if at is None:
        return Due("")
    left = at - now
    if left < timedelta(0):
        return Due(f"Overdue {span(-left)}", "late")
    return Due(f"{span(left)} left", "soon" if left < SOON else "")


def span(value: timedelta) -> str:
    """Return a length of time by its largest unit: 12 min, 2 h, 3 d."""
    minutes = int(value.total_seconds() // 60)
    if minutes < 1:
        return "under 1 min"
    if minutes < 120:
        return f"{minutes} min"
    return f"{minutes // 60} h" if minutes < 48 * 60 else f"{minutes // 1440} d"


def reasons(
    kind: str,
    reason: str,
    rule: str | None,
    detail: str,
    *,
    arguments: Json,
    expressions: Mapping[str, str],
) -> list[Reason]:
    """Return why a person is asked, each rule with its expression and the values it speaks of.

    expressions: rule, as the question names it → CEL.
    """
    if kind != "tool_call" or not rule:
        words = wording.code(reason).capitalize()
        expression = RULES.join(expressions.get(each, each) for each in (rule or "").split(RULES))
        return [Reason(words, detail, expression if expression != detail else "")]
    return [_reason(each, arguments, expressions.get(each, "")) for each in rule.split(RULES)]


def _reason(rule: str, arguments: Json, expression: str) -> Reason:
    values, asks = tuple(_values(expression, arguments)), "asks a person about calls like this"
    if rule.startswith("policy "):
        return Reason(f"Policy {rule.removeprefix('policy ')}", asks, expression, values)
    if rule.startswith("approval.when of "):
        return Reason(f"Rule of the tool {rule.removeprefix('approval.when of ')}", asks, expression, values)
    if rule == IRREVERSIBLE:
        return Reason("Cannot be undone", "The tool's effect is irreversible, and it has no rule of its own.")
    if "untrusted" in rule:
        words = "Strangers may have written what the run has read, and this call changes something or leaves."
        return Reason("Untrusted content was read", words)
    return Reason(rule[:1].upper() + rule[1:], "", expression, values)


_PATH: Final = re.compile(r"\bargs((?:\.[A-Za-z_][A-Za-z0-9_]*)+)")


def _values(expression: str, arguments: Json) -> Iterator[tuple[str, str]]:
    """Yield the arguments that `expression` names, with their values here."""
    for path in dict.fromkeys(_PATH.findall(expression)):
        value, names = arguments, path.strip(".").split(".")
        for name in names:
            value = value.get(name) if isinstance(value, Mapping) else None
        if value is not None:
            text = value if isinstance(value, str) else pretty(value)
            yield ".".join(names), _cut(" ".join(text.split()), _PART_LENGTH)


_LABELS: Final[Mapping[tuple[str, str], tuple[str, str]]] = {
    ("reconcile", "approve"): ("It happened", "The run goes on as if the call had returned what you write."),
    ("reconcile", "reject"): ("It did not", "The run may make the call again."),
    ("reconcile", "respond"): ("Tell the agent", "The agent reads your words and goes on."),
    ("budget", "approve"): ("Add as proposed", "The amount is added to the run's limit and it goes on."),
    ("budget", "edit"): ("Another amount", "The amount you write is added and the run goes on."),
    ("budget", "reject"): ("Add nothing", "The run ends; what it did so far is kept."),
    ("output", "approve"): ("Approve", "The output is final, and the run is completed."),
    ("output", "reject"): ("Reject", "The run fails; the output is kept, and is not final."),
    ("output", "edit"): ("Edit", "Your output is given out instead, if it passes the agent's schema and rules."),
    ("output", "respond"): ("Send back", "The agent reads your words and makes another output."),
    ("question", "approve"): ("Try again", "The run is taken up again."),
    ("question", "reject"): ("Give up", "The run fails with this reason."),
    ("question", "respond"): ("Answer", "The agent reads your answer and goes on."),
    ("appeal", "approve"): ("Uphold", "What the run's tools did is undone as far as it can be."),
    ("appeal", "reject"): ("Reject", "The decision stands."),
    ("tool_call", "reject"): ("Reject", "The call is not made; the agent is told why and goes on."),
    ("tool_call", "respond"): ("Respond", "The call is not made; the agent reads your words and goes on."),
}

_FORMS: Final[Mapping[str, tuple[str, str, str]]] = {
    "approve": ("Approve", "check", "a"),
    "edit": ("Edit", "pencil", "e"),
    "reject": ("Reject", "x", "r"),
    "respond": ("Respond", "message-square", "c"),
}


def buttons(kind: str, allowed: list[str], *, tool: str, irreversible: bool, undone_by: str, left: int) -> list[Button]:
    """Return the answers that the question takes, in the order of the bar.

    left: approvals that are missing. undone_by: the tool that undoes a call of `tool`, or nothing.
    """
    made = []
    for verb, (label, icon, key) in _FORMS.items():
        if verb not in allowed:
            continue
        named, effect = _LABELS.get((kind, verb), (label, ""))
        if kind == "tool_call" and verb in {"approve", "edit"}:
            effect = _called(verb, tool, irreversible=irreversible, undone_by=undone_by, left=left)
        made.append(Button(verb, named, icon, key, effect))
    return made


def _called(verb: str, tool: str, *, irreversible: bool, undone_by: str, left: int) -> str:
    after = "This cannot be undone." if irreversible else f"{undone_by} can undo it." if undone_by else ""
    if verb == "edit":
        return (
            f"{tool} is called with your arguments, checked anew, and the agent is told what changed. {after}".strip()
        )
    if left > 1:
        return f"Your approval is one of {left} that are missing; {tool} is called after the last. {after}".strip()
    return f"{tool} is called once, with exactly these arguments. {after}".strip()


def difference(before: Json, after: Json) -> list[Changed]:
    """Return what changed between two JSON values or two texts, line by line as they are shown."""
    if isinstance(before, str) and isinstance(after, str):
        lines = difflib.ndiff(before.splitlines(), after.splitlines())
    else:
        lines = difflib.ndiff(pretty(before).splitlines(), pretty(after).splitlines())
    return [Changed(line[0], line[2:]) for line in lines if line[0] != "?"]

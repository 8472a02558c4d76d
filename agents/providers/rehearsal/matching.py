"""Whether a script, or a turn of it, fits a conversation. Pure."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from agents.core.model import Json
from agents.providers.rehearsal.conversation import Conversation, ToolResult
from agents.providers.rehearsal.scripts import Script, Turn

_MISSING: Final = object()

_COMPARISONS: Mapping[str, Callable[[Json, Json], bool]] = {
    "eq": lambda value, other: _equal(value, other),
    "ne": lambda value, other: not _equal(value, other),
    "gt": lambda value, other: _is_number(value) and value > other,
    "ge": lambda value, other: _is_number(value) and value >= other,
    "lt": lambda value, other: _is_number(value) and value < other,
    "le": lambda value, other: _is_number(value) and value <= other,
    "in": lambda value, other: any(_equal(value, each) for each in other),
    "contains": lambda value, other: value is not _MISSING and other in value,
    "regex": lambda value, other: isinstance(value, str) and re.search(other, value) is not None,
    "exists": lambda value, other: (value is not _MISSING) == other,
}


def fits(script: Script, conversation: Conversation) -> bool:
    """Say whether everything in the script's `match` holds."""
    match = script.match
    return (
        _text_fits(match.get("system"), conversation.system)
        and _text_fits(match.get("user"), conversation.first_user_text)
        and _text_fits(match.get("model"), conversation.model)
        and set(names(match.get("tools"))) <= set(conversation.tools)
        and _paths_fit(match.get("input", {}), conversation.input)
    )


def choose(script: Script, conversation: Conversation) -> Turn | None:
    """Return the turn that answers: the first whose `when` holds, else the one without `when` at this place."""
    for turn in script.turns:
        if turn.when is None:
            if turn.number == conversation.turn:
                return turn
        elif _holds(turn.when, conversation):
            return turn
    return None


def names(value: Json) -> Sequence[str]:
    """Return a name or a list of names as a list."""
    if value is None:
        return ()
    return (value,) if isinstance(value, str) else tuple(value)


def at_path(value: Json, path: str, missing: Json = _MISSING) -> Json:
    """Return what is at a dotted path (`a.0.b`), or `missing`."""
    for part in path.split(".") if path else ():
        if isinstance(value, dict) and part in value:
            value = value[part]
        elif isinstance(value, list) and part.isdigit() and int(part) < len(value):
            value = value[int(part)]
        else:
            return missing
    return value


def _holds(when: Mapping[str, Json], conversation: Conversation) -> bool:
    turns = when.get("turn", conversation.turn)
    called = {result.tool for result in conversation.results}
    return (
        conversation.turn in (turns if isinstance(turns, list) else (turns,))
        and set(names(when.get("after"))) <= set(conversation.fresh_tools)
        and set(names(when.get("called"))) <= called
        and not set(names(when.get("not_called"))) & called
        and all(_result_fits(expected, conversation.latest(tool)) for tool, expected in when.get("result", {}).items())
        and _paths_fit(when.get("input", {}), conversation.input)
        and _text_fits(when.get("said"), conversation.last_user_text)
    )


def _result_fits(expected: Json, result: ToolResult | None) -> bool:
    if result is None:
        return False
    if not isinstance(expected, dict):
        return _text_fits(expected, result.text)
    paths = dict(expected)
    is_error = paths.pop("$error", result.is_error)
    text = paths.pop("$text", None)
    return is_error == result.is_error and _text_fits(text, result.text) and _paths_fit(paths, result.value)


def _text_fits(expected: Json, text: str) -> bool:
    if expected is None:
        return True
    if isinstance(expected, dict):
        pattern, unwanted = expected.get("regex"), expected.get("not")
        if unwanted is not None and any(each in text for each in names(unwanted)):
            return False
        return pattern is None or re.search(pattern, text) is not None
    return all(each in text for each in names(expected))


def _paths_fit(expected: Mapping[str, Json], value: Json) -> bool:
    return all(_value_fits(each, at_path(value, path)) for path, each in expected.items())


def _value_fits(expected: Json, value: Json) -> bool:
    if isinstance(expected, dict) and expected and set(expected) <= set(_COMPARISONS):
        return all(_COMPARISONS[name](value, other) for name, other in expected.items())
    return _equal(value, expected)


def _equal(value: Json, other: Json) -> bool:
    # In JSON true is not 1.
    return isinstance(value, bool) == isinstance(other, bool) and bool(value == other)


def _is_number(value: Json) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)

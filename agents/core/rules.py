"""Rules as data: CEL expressions, compiled once, evaluated with a bounded budget.

A run-time error (a missing key, a wrong type, more work than `cel_work.MOST`) is never a yes: `holds` says False for it
and `asks` says True, so each caller states which way is safe.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from cel_expr_python import cel

from agents.core import cel_work
from agents.core.cel_tree import Node, tree
from agents.core.wording import words_of_cel

Json = Any

#: What each kind of expression may speak of.
OUTPUT_RULE = ("input", "output", "tools")
APPROVAL = ("args", "tool", "principal", "run", "taint")
GRANT = ("args", "principal")
COMPENSATION = ("args", "result")

MAX_LENGTH = 4_000


class BadRule(ValueError):
    """The expression does not compile, or does not yield what it should."""


@dataclass(frozen=True, slots=True)
class _Ready:
    """An expression that compiles. program: cel-cpp's; tree: what its work is told from; names: it may speak of."""

    program: Any
    tree: Node
    names: tuple[str, ...]

    def eval(self, values: Mapping[str, Json]) -> Any:
        """Return what cel-cpp says of it; raises `TooMuchWork` in place of taking long."""
        cel_work.check(self.tree, values)
        return self.program.eval(data={name: values.get(name) for name in self.names})


def check(expression: str, names: tuple[str, ...]) -> None:
    """Raise `BadRule`, with the place and the reason, unless the expression compiles over `names` to a boolean."""
    _compiled(expression, names)


def check_typed(expression: str, variables: Mapping[str, Any]) -> None:
    """Raise `BadRule` unless the expression compiles to a boolean with variables of these types."""
    _compile(expression, variables)


def check_value(expression: str, names: tuple[str, ...]) -> None:
    """Raise `BadRule` unless the expression compiles over `names`, whatever it yields."""
    _valued(expression, names)


def value(expression: str, names: tuple[str, ...], values: Mapping[str, Json]) -> Json:
    """Return the JSON value of the expression; raises `BadRule` when it has none."""
    try:
        return _json(_valued(expression, names).eval(values))
    except cel_work.TooMuchWork as error:
        raise BadRule(f"{expression} takes too much work here: there is too much to go through.") from error
    except (RuntimeError, TypeError, OverflowError) as error:
        raise BadRule(f"{expression} has no value here ({type(error).__name__}).") from error


def holds(expression: str, names: tuple[str, ...], values: Mapping[str, Json]) -> bool:
    """Say whether the expression is true. An error counts as not."""
    return _evaluate(expression, names, values) is True


def asks(expression: str, names: tuple[str, ...], values: Mapping[str, Json]) -> bool:
    """Say whether a condition for asking a person is met. An error counts as met."""
    return _evaluate(expression, names, values) is not False


@lru_cache(maxsize=4096)
def speaks_of(expression: str, names: tuple[str, ...], name: str) -> bool:
    """Say whether an expression over `names` needs `name`: without it, it does not compile."""
    try:
        _compiled(expression, tuple(each for each in names if each != name))
    except BadRule:
        return True
    return False


def _evaluate(expression: str, names: tuple[str, ...], values: Mapping[str, Json]) -> bool | None:
    try:
        result = _compiled(expression, names).eval(values)
    except (cel_work.TooMuchWork, RuntimeError, TypeError, ValueError, OverflowError):
        return None
    # An error comes back as a value, whose `.value()` is a truthy string: only a real boolean counts.
    return result.value() if result.type() == cel.Type.BOOL else None


@lru_cache(maxsize=4096)
def _compiled(expression: str, names: tuple[str, ...]) -> _Ready:
    return _ready(_compile(expression, dict.fromkeys(names, cel.Type.DYN)), names)


@lru_cache(maxsize=4096)
def _valued(expression: str, names: tuple[str, ...]) -> _Ready:
    return _ready(_parsed(expression, dict.fromkeys(names, cel.Type.DYN)), names)


def _ready(program: Any, names: tuple[str, ...]) -> _Ready:
    return _Ready(program, tree(program.serialize()), names)


def _json(found: Any) -> Json:
    """Return what CEL found as JSON; raises `BadRule`. Parts of lists and maps come as values of CEL again."""
    if isinstance(found, cel.Value):
        if found.type() == cel.Type.ERROR:
            raise BadRule("The expression speaks of something that is not there.")
        found = found.value()
    if isinstance(found, Mapping) and all(isinstance(name, str) for name in found):
        return {name: _json(part) for name, part in found.items()}
    if isinstance(found, list):
        return [_json(part) for part in found]
    if found is None or isinstance(found, str | bool | int | float):
        return found
    raise BadRule("The expression yields something that JSON has no form for.")


def _parsed(expression: str, variables: Mapping[str, Any]) -> Any:
    if len(expression) > MAX_LENGTH:
        raise BadRule(f"An expression has at most {MAX_LENGTH} characters.")
    try:
        return cel.NewEnv(variables=dict(variables)).compile(expression)
    except RuntimeError as error:
        raise BadRule(words_of_cel(str(error), variables)) from error


def _compile(expression: str, variables: Mapping[str, Any]) -> Any:
    compiled = _parsed(expression, variables)
    if compiled.return_type() not in (cel.Type.BOOL, cel.Type.DYN):
        raise BadRule(f"The expression yields {compiled.return_type().name()}, not true or false: {expression}")
    return compiled

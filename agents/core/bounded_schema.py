"""A validator of JSON Schema (2020-12) that nobody's schema or value can keep busy for long. Pure.

jsonschema searches patterns by backtracking: some take for ever over a short text, and Python lets no other thread
go on meanwhile. Here RE2 searches them, in linear time. And each check has a budget of work: references that multiply,
or many alternatives for each of many items, end in `TooMuchWork`.
"""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, Final

import re2
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from jsonschema.validators import extend

Json = Any

#: What one check may take, in keywords applied; large values and long lists of alternatives count for more. A
#: few seconds at most.
MOST_WORK: Final = 200_000

#: Elements of a list or object, and characters of a text, that count like one keyword.
_ELEMENTS: Final = 8
_CHARACTERS: Final = 512

#: Steps of a pattern's search, at most as many as its program times the text is long, that count so.
_STEPS: Final = 5000

_OPTIONS: Final = re2.Options()
_OPTIONS.log_errors = False


class TooMuchWork(Exception):
    """The schema and the value together take more work than a check may."""


class BadPattern(ValueError):
    """The pattern is none that RE2 knows. The text says why."""


class _Work(threading.local):
    left: int | None = None


_work: Final = _Work()


@contextmanager
def budget(work: int = MOST_WORK) -> Iterator[None]:
    """Let the checks in the block do so much work in all; they raise `TooMuchWork` beyond it. Not to be nested."""
    _work.left = work
    try:
        yield
    finally:
        _work.left = None


@lru_cache(maxsize=4096)
def compiled(pattern: str) -> Any:
    """Return the pattern to search with; raises `BadPattern`."""
    try:
        return re2.compile(_in_re2(pattern), _OPTIONS)
    except (re2.error, UnicodeEncodeError) as error:
        raise BadPattern(_why(error)) from error


def _in_re2(pattern: str) -> str:
    r"""Return the pattern with ECMA-262's \uXXXX as RE2 writes it."""
    if "\\u" not in pattern:
        return pattern
    parts = pattern.split("\\\\")  # an escaped backslash is no beginning of an escape
    return "\\\\".join(_UNICODE.sub(r"\\x{\1}", part) for part in parts)


_UNICODE: Final = re2.compile(r"\\u([0-9A-Fa-f]{4})")


def _why(error: Exception) -> str:
    said = error.args[0] if error.args else ""
    return said.decode(errors="replace") if isinstance(said, bytes) else str(said)


def _found(pattern: str, text: str) -> bool:
    try:
        search = compiled(pattern)
        _spend(len(text) * search.programsize // _STEPS)
        return search.search(text) is not None
    except (BadPattern, UnicodeEncodeError):
        return False  # nothing is taken for what it was not proven to be


# --- the keywords that search, or compare each with each ----------------------------------------------------------


def _pattern(check: Any, pattern: str, value: Json, schema: Json) -> Iterator[ValidationError]:
    if check.is_type(value, "string") and not _found(pattern, value):
        yield ValidationError(f"{value!r} does not match {pattern!r}")


def _pattern_properties(check: Any, patterns: Mapping[str, Json], value: Json, schema: Json) -> Iterator[Any]:
    if check.is_type(value, "object"):
        for pattern, inner in patterns.items():
            for name, item in value.items():
                if _found(pattern, name):
                    yield from check.descend(item, inner, path=name, schema_path=pattern)


def _additional_properties(check: Any, inner: Json, value: Json, schema: Json) -> Iterator[Any]:
    if not check.is_type(value, "object"):
        return
    known, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
    more = [name for name in value if name not in known and not any(_found(each, name) for each in patterns)]
    if check.is_type(inner, "object"):
        for name in more:
            yield from check.descend(value[name], inner, path=name)
    elif not inner and more:
        named = ", ".join(repr(name) for name in sorted(more, key=str))
        yield ValidationError(f"Additional properties are not allowed ({named} {_were(more)} unexpected)")


def _were(names: list[str]) -> str:
    return "was" if len(names) == 1 else "were"


def _unique_items(check: Any, wanted: bool, value: Json, schema: Json) -> Iterator[ValidationError]:
    if wanted and check.is_type(value, "array") and len({_identity(item) for item in value}) < len(value):
        yield ValidationError(f"{value!r} has non-unique elements")


def _identity(value: Json) -> str:
    """Return a text that is the same for values that JSON Schema takes for equal: 1 and 1.0 are, 1 and true are not."""
    return json.dumps(_whole(value), sort_keys=True)


def _whole(value: Json) -> Json:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {name: _whole(item) for name, item in value.items()}
    return [_whole(item) for item in value] if isinstance(value, list) else value


# --- counting the work --------------------------------------------------------------------------------------------


def _counted(keyword: Callable[..., Any]) -> Callable[..., Any]:
    def apply(check: Any, wanted: Json, value: Json, schema: Json) -> Any:
        _spend(1 + _size(wanted) + _size(value))
        return keyword(check, wanted, value, schema)

    return apply


def _spend(work: int) -> None:
    left = _work.left
    if left is not None:
        _work.left = left = left - work
        if left < 0:
            raise TooMuchWork


def _size(value: Json) -> int:
    if isinstance(value, str):
        return len(value) // _CHARACTERS
    return len(value) // _ELEMENTS if isinstance(value, dict | list) else 0


BoundedValidator: Final[Any] = extend(  # type: ignore[no-untyped-call]
    Draft202012Validator,
    {
        name: _counted(keyword)
        for name, keyword in {
            **Draft202012Validator.VALIDATORS,
            "pattern": _pattern,
            "patternProperties": _pattern_properties,
            "additionalProperties": _additional_properties,
            "uniqueItems": _unique_items,
        }.items()
    },
)

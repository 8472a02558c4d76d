"""JSON Schema (2020-12): validators and errors as pointers. Nothing remote is fetched, and the work is bounded."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, cast

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError
from jsonschema.protocols import Validator
from referencing import Registry
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012

from agents.core.bounded_schema import BadPattern, BoundedValidator, TooMuchWork, budget, compiled
from agents.core.exact import scrubbed

Json = Any

MAX_ERRORS = 20
MAX_MESSAGE = 300

#: Errors of which the first in the document's order are told; a value with more is not searched to its end.
_SOUGHT: Final = 1000

_TOO_MUCH: Final = "It takes too much work to check: fewer alternatives, references or elements."

#: Keywords whose values lead to other schemas.
_REFERENCES: Final = frozenset({"$ref", "$dynamicRef"})

#: Keywords whose values are no schemas.
_NO_SCHEMAS: Final = frozenset({"const", "default", "enum", "examples"})


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a value: where (JSON pointer, RFC 6901) and what to do."""

    pointer: str
    message: str
    rule: str = "schema"

    def as_json(self) -> dict[str, str]:
        """Return `{rule, pointer, message}`."""
        return {"rule": self.rule, "pointer": self.pointer, "message": self.message}


def validator(schema: Mapping[str, Json]) -> Validator:
    """Return a validator that resolves references inside the schema only."""
    checks = BoundedValidator(schema, registry=Registry(), format_checker=Draft202012Validator.FORMAT_CHECKER)
    return cast(Validator, checks)


def schema_problems(schema: Json) -> list[Problem]:
    """Say why `schema` is no JSON Schema that can be used; empty when it is one."""
    try:
        Draft202012Validator.check_schema(schema)
        if wrong := [*_pattern_problems(schema, ""), *_reference_problems(schema, _resolver(schema), "")]:
            return wrong[:MAX_ERRORS]
        with budget():
            validator(schema).is_valid({})
    except TooMuchWork:
        return [Problem("", _TOO_MUCH)]
    except SchemaError as error:
        return [Problem(_pointer(error.absolute_path), _short(error.message))]
    return []


def problems(check: Validator, value: Json) -> list[Problem]:
    """Return what is wrong with `value`, at most 20, in the order of the document; empty when it fits."""
    try:
        with budget():
            return _problems(check, value)
    except TooMuchWork:
        return [Problem("", f"The value cannot be checked. {_TOO_MUCH}")]
    except Unresolvable as error:  # of a schema that was saved before references were looked at
        return [
            Problem("", _short(f"The value cannot be checked: the schema's reference {error.ref!r} leads nowhere."))
        ]
    except (OverflowError, RecursionError) as error:
        return [Problem("", f"The value cannot be checked: {error}. Use smaller numbers and less nesting.")]


def _problems(check: Validator, value: Json) -> list[Problem]:
    if check.is_valid(value):
        return []
    errors = sorted(islice(check.iter_errors(value), _SOUGHT), key=lambda error: list(map(str, error.absolute_path)))
    return [Problem(_pointer(error.absolute_path), _message(error)) for error in errors[:MAX_ERRORS]]


def _pattern_problems(schema: Json, place: str) -> Iterator[Problem]:
    """Yield what is wrong with the patterns of a schema."""
    if isinstance(schema, list):
        for index, item in enumerate(schema):
            yield from _pattern_problems(item, f"{place}/{index}")
    if not isinstance(schema, Mapping):
        return
    patterns = schema.get("patternProperties")
    if isinstance(patterns, Mapping) and "unevaluatedProperties" in schema:
        message = "Use additionalProperties: unevaluatedProperties beside patternProperties is not available."
        yield Problem(f"{place}/unevaluatedProperties", message)
    for key, value in schema.items():
        below = place + "/" + str(key).replace("~", "~0").replace("/", "~1")
        if key == "pattern" and isinstance(value, str):
            yield from _wrong_with(value, below)
        if key == "patternProperties" and isinstance(value, Mapping):
            for pattern in value:
                yield from _wrong_with(str(pattern), below)
        if key not in _NO_SCHEMAS:
            yield from _pattern_problems(value, below)


def _resolver(schema: Json) -> Any:
    """Return what finds references inside the schema."""
    return Registry().resolver_with_root(DRAFT202012.create_resource(schema))


def _reference_problems(schema: Json, resolver: Any, place: str) -> Iterator[Problem]:
    """Yield what is wrong with the references of a schema: no check would find what they lead to, or its end."""
    if isinstance(schema, list):
        for index, item in enumerate(schema):
            yield from _reference_problems(item, resolver, f"{place}/{index}")
    if not isinstance(schema, Mapping):
        return
    if isinstance(schema.get("$id"), str):
        resolver = resolver.in_subresource(DRAFT202012.create_resource(schema))
    for key, value in schema.items():
        below = place + "/" + str(key).replace("~", "~0").replace("/", "~1")
        if key in _REFERENCES and isinstance(value, str):
            wrong = _wrong_reference(value, resolver)
            yield from () if wrong is None else (Problem(below, _short(wrong)),)
        elif key not in _NO_SCHEMAS:
            yield from _reference_problems(value, resolver, below)


def _wrong_reference(reference: str, resolver: Any) -> str | None:
    """Return what is wrong with where a reference leads, and with where that leads if it is nothing else."""
    seen: list[Json] = []
    at = reference
    while True:
        try:
            found = resolver.lookup(at)
        except (Unresolvable, ValueError):  # the latter for what is no URI
            return f"The reference {at!r} leads out of the schema or nowhere; define it under $defs."
        if any(found.contents is each for each in seen):
            return f"The reference {reference!r} refers to itself without end."
        seen.append(found.contents)
        following = found.contents.get("$ref") if isinstance(found.contents, Mapping) else None
        if not isinstance(following, str):
            return None
        at, resolver = following, found.resolver


def _wrong_with(pattern: str, place: str) -> Iterator[Problem]:
    try:
        compiled(pattern)
    except BadPattern as error:
        yield Problem(place, _short(f"{pattern!r} cannot be searched for in bounded time ({error}): see RE2's syntax."))


def _message(error: ValidationError) -> str:
    return _short(error.message)


def _short(message: str) -> str:
    message = scrubbed(message)
    return message if len(message) <= MAX_MESSAGE else message[: MAX_MESSAGE - 1] + "…"


def _pointer(path: Any) -> str:
    pointer: str = scrubbed("".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path))
    return pointer

"""JSON Schema (2020-12): validators and errors as pointers. Remote references are never fetched."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError
from jsonschema.protocols import Validator
from referencing import Registry
from referencing.exceptions import Unresolvable

from agents.core.exact import scrubbed

Json = Any

MAX_ERRORS = 20
MAX_MESSAGE = 300


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
    return Draft202012Validator(schema, registry=Registry(), format_checker=Draft202012Validator.FORMAT_CHECKER)


def schema_problems(schema: Json) -> list[Problem]:
    """Say why `schema` is no JSON Schema that can be used; empty when it is one."""
    try:
        Draft202012Validator.check_schema(schema)
        validator(schema).is_valid({})
    except SchemaError as error:
        return [Problem(_pointer(error.absolute_path), _short(error.message))]
    except Unresolvable as error:
        return [Problem("", f"The reference {error.ref!r} leads out of the schema; define it under $defs.")]
    return []


def problems(check: Validator, value: Json) -> list[Problem]:
    """Return what is wrong with `value`, at most 20, in the order of the document; empty when it fits."""
    try:
        return _problems(check, value)
    except (OverflowError, RecursionError) as error:
        return [Problem("", f"The value cannot be checked: {error}. Use smaller numbers and less nesting.")]


def _problems(check: Validator, value: Json) -> list[Problem]:
    if check.is_valid(value):
        return []
    errors = sorted(check.iter_errors(value), key=lambda error: list(map(str, error.absolute_path)))
    return [Problem(_pointer(error.absolute_path), _message(error)) for error in errors[:MAX_ERRORS]]


def _message(error: ValidationError) -> str:
    return _short(error.message)


def _short(message: str) -> str:
    message = scrubbed(message)
    return message if len(message) <= MAX_MESSAGE else message[: MAX_MESSAGE - 1] + "…"


def _pointer(path: Any) -> str:
    pointer: str = scrubbed("".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path))
    return pointer

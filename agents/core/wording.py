"""What checkers of JSON Schema and of CEL say, in words a person can act on. Pure."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any, Final

from jsonschema.exceptions import ValidationError

from agents.core.schema import Problem, validator
from agents.core.shapes import NOT_BLANK

Json = Any

MAX_PROBLEMS = 50

_TYPES = {
    "object": "a mapping",
    "array": "a list",
    "string": "a text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "null",
}

#: Keywords, and what to say where something is longer or shorter than they let it be.
_SIZES = {
    "maxLength": "This is too long: at most {wanted} characters.",
    "maxItems": "This is too long: at most {wanted}.",
    "maxProperties": "These are too many: at most {wanted}.",
    "minLength": "This is too short: at least {wanted} characters.",
    "minItems": "These are too few: at least {wanted}.",
    "minProperties": "These are too few: at least {wanted}.",
    "uniqueItems": "The same stands here twice.",
}

#: An error as cel-cpp writes it, in front of a copy of the line with a mark below.
_CEL_ERROR: Final = re.compile(r"ERROR: <input>:(?P<line>\d+):(?P<column>\d+): (?P<said>[^\n]*)")
_CEL_OVERLOAD: Final = re.compile(r"found no matching overload for '(?P<operator>[^']+)' applied to '(?P<types>.*)'")
_CEL_UNKNOWN: Final = re.compile(r"undeclared reference to '(?P<name>[^']*)'")


def shape_problems(shape: Mapping[str, Json], spec: Json) -> list[Problem]:
    """Return where `spec` departs from the published schema `shape`, with the nearest known word for a strange key."""
    errors = sorted(validator(shape).iter_errors(spec), key=lambda error: [str(part) for part in error.absolute_path])
    return [problem for error in errors for problem in _problems(error)][:MAX_PROBLEMS]


def pointer(path: Iterable[Any]) -> str:
    """Return the JSON pointer (RFC 6901) of a path of keys and indexes."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)


def meant(word: str, known: Iterable[str]) -> str:
    """Return " Did you mean x?" when a known word is near, else nothing."""
    near = get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f" Did you mean {near[0]}?" if near else ""


def words(error: ValidationError) -> str:
    """Say what to write where a validator has found a fault."""
    said = _words(error.validator, error.validator_value, error.instance, error.schema, error)
    if "propertyNames" in error.schema_path:
        return f"The name {_shown(error.instance)}: {said}"
    return said


def words_of_cel(said: str, known: Iterable[str]) -> str:
    """Say what keeps an expression from compiling; `said`: what cel-cpp says; known: what it may speak of."""
    found = _CEL_ERROR.search(said)
    if found is None:
        return f"This is no expression of CEL: {' '.join(said.split())}"
    line = f"line {found['line']}, " if found["line"] != "1" else ""
    names = sorted(name for name in known if "." not in name)
    return f"At {line}column {found['column']}: {_cel(found['said'], names)}"


def _cel(said: str, known: list[str]) -> str:
    if unknown := _CEL_UNKNOWN.match(said):
        return _unknown(unknown["name"].partition(".")[0], known)
    if overload := _CEL_OVERLOAD.match(said):
        operator = overload["operator"].strip("_@").replace("_", " ")
        return f"{operator} does not take {overload['types']}: give it values that go together."
    said = said.removeprefix("Syntax error: ").partition(" expecting ")[0]
    return f"This is no expression of CEL ({said.replace('<EOF>', 'end')}); write one such as {known[0]}.amount < 1000."


def _problems(error: ValidationError) -> Iterator[Problem]:
    place = pointer(error.absolute_path)
    schema: Any = error.schema
    if error.validator == "additionalProperties":
        known = list(schema["properties"])
        instance: Any = error.instance
        for key in instance:
            if key not in known:
                yield Problem(place + pointer([key]), _unknown(str(key), known), "document")
        return
    yield Problem(place, words(error), "document")


def _unknown(key: str, known: list[str]) -> str:
    near = meant(key, known)
    return f"{key} is not known here.{near or ' Known: ' + ', '.join(known) + '.'}"


def _words(keyword: Json, wanted: Json, value: Json, schema: Json, error: ValidationError) -> str:
    match keyword:
        case "required":
            return f"{', '.join(name for name in wanted if name not in value)} must be given."
        case "enum":
            word = value if isinstance(value, str) else ""
            known = ["null" if name is None else str(name) for name in wanted]
            return f"Write one of {', '.join(known)}.{meant(word, known)}"
        case "type":
            kinds = [wanted] if isinstance(wanted, str) else wanted
            return f"Write {' or '.join(_TYPES[kind] for kind in kinds)}."
        case "minimum" | "maximum" | "exclusiveMinimum":
            return f"{_shown(value)} is outside the bounds: {_bounds(schema)}."
        case "pattern":
            if wanted == NOT_BLANK:
                return "This must not be empty."
            return f"{_shown(value)} does not have the right form ({wanted})."
        case "minLength" | "minItems" if wanted == 1:
            return "This must not be empty."
        case "oneOf" if all("required" in choice for choice in wanted):
            return f"Give one of {', '.join(' and '.join(choice['required']) for choice in wanted)}, not more."
    return _SIZES[keyword].format(wanted=wanted) if keyword in _SIZES else error.message[:300]


def _bounds(schema: Mapping[str, Json]) -> str:
    least = f"at least {schema['minimum']}" if "minimum" in schema else ""
    if "exclusiveMinimum" in schema:
        least = f"more than {schema['exclusiveMinimum']}"
    most = f"at most {schema['maximum']}" if "maximum" in schema else ""
    return ", ".join(part for part in (least, most) if part)


def _shown(value: Json) -> str:
    text = json.dumps(value, ensure_ascii=False).encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= 80 else text[:79] + "…"

"""What a JSON Schema validator says about a document, in words a person can act on. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from jsonschema.exceptions import ValidationError

from agents.core.schema import Problem, validator
from agents.core.shapes import NOT_BLANK

Json = Any

MAX_PROBLEMS = 50

#: Words of the contract that a later version will know. Silence about them would be unsafe, so they are refused.
LATER: Mapping[str, str] = {
    "mcp": "Tools of type mcp are not available in this version.",
    "agent": "Tools of type agent are not available in this version.",
}

_TYPES = {
    "object": "a mapping",
    "array": "a list",
    "string": "a text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "null",
}


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
    yield Problem(place, _words(error.validator, error.validator_value, error.instance, schema, error), "document")


def _unknown(key: str, known: list[str]) -> str:
    if key in LATER:
        return LATER[key]
    near = meant(key, known)
    return f"{key} is not known here.{near or ' Known: ' + ', '.join(known) + '.'}"


def _words(keyword: Json, wanted: Json, value: Json, schema: Json, error: ValidationError) -> str:
    match keyword:
        case "required":
            return f"{', '.join(name for name in wanted if name not in value)} must be given."
        case "enum":
            word = value if isinstance(value, str) else ""
            return LATER.get(word) or f"Write one of {', '.join(map(str, wanted))}.{meant(word, map(str, wanted))}"
        case "type":
            kinds = [wanted] if isinstance(wanted, str) else wanted
            return f"Write {' or '.join(_TYPES[kind] for kind in kinds)}."
        case "minimum" | "maximum" | "exclusiveMinimum":
            return f"{value} is outside the bounds: {_bounds(schema)}."
        case "pattern":
            if wanted == NOT_BLANK:
                return "This must not be empty."
            return f"{_shown(value)} does not have the right form ({wanted})."
        case "maxLength" | "maxItems":
            return f"This is too long: at most {wanted}."
        case "oneOf":
            return "Name a permission and who holds it: either a team or a user."
    return error.message[:300]


def _bounds(schema: Mapping[str, Json]) -> str:
    least = f"at least {schema['minimum']}" if "minimum" in schema else ""
    if "exclusiveMinimum" in schema:
        least = f"more than {schema['exclusiveMinimum']}"
    most = f"at most {schema['maximum']}" if "maximum" in schema else ""
    return ", ".join(part for part in (least, most) if part)


def _shown(value: Json) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:79] + "…"

"""Read a request's JSON strictly, and check it against the schema that the documentation shows.

One schema serves both: what OpenAPI prints is what refuses.
"""

import contextlib
import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from functools import cached_property
from typing import Any, cast

from django.conf import settings
from django.http import HttpRequest
from jsonschema.exceptions import ValidationError
from jsonschema.protocols import Validator

from agents.core.schema import validator
from agents.core.wording import words
from agents.errors import InvalidDocument
from api import problems
from api.errors import BodyTooLarge, Fault, InvalidBody, MalformedJson, WrongMediaType

Json = Any

MAX_DEPTH = 64
MAX_FAULTS = 20
MAX_DETAIL = 300


class Body:
    """What a call takes. `schema` is JSON Schema (2020-12), as OpenAPI 3.1 shows it."""

    def __init__(self, schema: Mapping[str, Json], *, example: Json = None) -> None:
        self.schema = dict(schema) if example is None else {**schema, "examples": [example]}

    @cached_property
    def _validator(self) -> Validator:
        return validator(self.schema)

    def read(self, request: HttpRequest) -> dict[str, Json]:
        """Return the request's body.

        Raises `BodyTooLarge`, `WrongMediaType`, `MalformedJson`, or `InvalidBody` with a pointer for each fault.
        """
        value: dict[str, Json] = parse(_raw(request))
        faults = {fault for error in self._validator.iter_errors(value) for fault in _faults(error)}
        if faults:
            raise InvalidBody(faults=sorted(faults, key=lambda fault: (fault.pointer, fault.detail))[:MAX_FAULTS])
        return value


def later(what: str) -> Json:
    """Return the schema of a field that this version knows and refuses."""
    return {"not": {}, "description": f"{what} not available in this version."}


#: A call that takes nothing; an empty body will do.
NOTHING = Body({"type": "object", "additionalProperties": False})


@contextmanager
def beneath(pointer: str) -> Iterator[None]:
    """Put `pointer` before those of an `InvalidDocument`, whose document is one field of the body."""
    try:
        yield
    except InvalidDocument as error:
        for each in error.errors:
            each["pointer"] = pointer + each["pointer"]
        raise


def _raw(request: HttpRequest) -> bytes:
    if int(request.META.get("CONTENT_LENGTH") or 0) > settings.MAX_BODY_BYTES:
        raise BodyTooLarge(problems.limit_sentence())
    raw = request.read(settings.MAX_BODY_BYTES + 1)
    if len(raw) > settings.MAX_BODY_BYTES:
        raise BodyTooLarge(problems.limit_sentence())
    if not raw:
        return b"{}"
    if request.content_type != "application/json":
        raise WrongMediaType
    return raw


def parse(raw: bytes) -> Json:
    """Return the JSON value; stricter than Python's reader.

    Raises `MalformedJson` (with the position) for what RFC 8259 forbids, for a key given twice and for a number beyond
    a double's range; `InvalidBody` for nesting beyond 64 levels and for text that neither the database nor canonical
    JSON can hold (NUL, half a surrogate pair).
    """
    try:
        value = json.loads(
            raw.decode(),
            object_pairs_hook=_object,
            parse_constant=_refuse_constant,
            parse_float=_finite,
            parse_int=_whole,
        )
    except UnicodeDecodeError as error:
        raise MalformedJson(f"The body is not UTF-8 (at byte {error.start}).") from error
    except json.JSONDecodeError as error:
        raise MalformedJson(
            f"The body is not JSON: {error.msg} (line {error.lineno}, column {error.colno})."
        ) from error
    except RecursionError as error:
        raise MalformedJson(f"The body nests deeper than {MAX_DEPTH} levels.") from error
    except ValueError as error:
        raise MalformedJson(f"The body holds a number that cannot be kept: {str(error)[:MAX_DETAIL]}") from error
    _refuse_unkeepable(value)
    return value


class _Twice(dict[str, Json]):
    """An object that names one of its keys twice."""

    key: str = ""


def _object(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    plain = dict(pairs)
    if len(plain) == len(pairs):
        return plain
    seen: set[str] = set()
    twice = _Twice(plain)
    twice.key = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
    return twice


def _refuse_constant(name: str) -> Json:
    raise ValueError(f"{name} is not JSON.")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:40]} is beyond a double's range.")
    return value


def _whole(text: str) -> int:
    _finite(text)  # exact beyond 2^53, but comparing it with a fraction must not overflow
    return int(text)


def _refuse_unkeepable(value: Json) -> None:
    faults: list[Fault] = []
    pending: list[tuple[str, int, Json]] = [("", 1, value)]
    while pending:
        pointer, depth, item = pending.pop()
        if isinstance(item, _Twice):
            raise MalformedJson(f"The object at {pointer or '/'!r} names {item.key[:100]!r} twice.")
        if depth > MAX_DEPTH:
            raise InvalidBody(faults=[Fault(pointer, f"This nests deeper than {MAX_DEPTH} levels.")])
        if isinstance(item, dict):
            faults += [Fault(pointer, f"A key holds {what}.") for key in item if (what := _unkeepable(key))]
            pending += [(f"{pointer}/{escaped(key)}", depth + 1, inner) for key, inner in item.items()]
        elif isinstance(item, list):
            pending += [(f"{pointer}/{place}", depth + 1, inner) for place, inner in enumerate(item)]
        elif isinstance(item, str) and (what := _unkeepable(item)):
            faults.append(Fault(pointer, f"The text holds {what}."))
    if faults:
        raise InvalidBody(faults=faults[:MAX_FAULTS])


def _unkeepable(text: str) -> str | None:
    if "\0" in text:
        return "the character NUL, which cannot be kept"
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        return "half of a surrogate pair"
    return None


def escaped(key: object) -> str:
    """Return one step of a JSON pointer."""
    text = str(key).encode("utf-8", "replace").decode()
    return text.replace("~", "~0").replace("/", "~1")


def _faults(error: ValidationError) -> list[Fault]:
    """Return what a schema error means: for a missing or an unknown key the pointer names that key."""
    pointer = "".join(f"/{escaped(part)}" for part in error.absolute_path)
    value, schema = cast(Json, error.instance), cast(Json, error.schema)
    if error.validator == "required":
        return [
            Fault(f"{pointer}/{escaped(key)}", "This is required.") for key in schema["required"] if key not in value
        ]
    if error.validator == "additionalProperties" and schema["additionalProperties"] is False:
        known = schema.get("properties", {})
        detail = f"There is no such field; known are {', '.join(known) or 'none'}."
        return [Fault(f"{pointer}/{escaped(key)}", detail) for key in value if key not in known]
    if error.validator == "not":
        return [Fault(pointer, str(schema["description"]))]
    if schema.get("writeOnly"):
        return [Fault(pointer, "This is not what the field takes; what was sent is not repeated here.")]
    return [Fault(pointer, words(error)[:MAX_DETAIL])]


def instant(text: str, pointer: str) -> datetime:
    """Return the time that RFC 3339 text names, from 1970 on; raises `InvalidBody` when there is none or no offset."""
    value: datetime | None = None
    with contextlib.suppress(ValueError):
        value = datetime.fromisoformat(text)
    if value is None or value.tzinfo is None or not 1970 <= value.year < 9999:
        raise InvalidBody(faults=[Fault(pointer, "Write a time with its offset, such as 2030-01-31T12:00:00Z.")])
    return value

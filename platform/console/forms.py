"""Forms of documents: fields of text that become parts of a `spec`, and back. Pure.

What a form has no field for stands in one of its own, as JSON, so that nothing a document says is lost by editing it.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from agents.core.schema import Problem
from console.events import pretty

Json = Any
Values = Mapping[str, str]

#: The field for what no other field holds.
MORE: Final = "more"


@dataclass(frozen=True, slots=True)
class Field:
    """One field. place: path of what it holds in the `spec`, such as `model/id`; empty for the whole rest.

    form: text (one line), prose, lines (one entry a line), number, json, code (one expression), choice, names (a list
    of names to tick). teaches: what it is for; example: shown while it is empty.
    """

    name: str
    place: str
    label: str
    form: str
    teaches: str = ""
    example: str = ""
    rows: int = 3
    choices: Sequence[str] = ()
    required: bool = False


@dataclass(frozen=True, slots=True)
class Section:
    """Fields that belong together. folded: shut until asked for, or until one of them holds something."""

    title: str
    teaches: str
    fields: Sequence[Field]
    folded: bool = False


@dataclass(frozen=True, slots=True)
class Shown:
    """A field with what it holds and what is wrong with that, ready to render. chosen: of `names`."""

    field: Field
    value: str
    faults: Sequence[str]
    chosen: Sequence[str]

    @property
    def described_by(self) -> str:
        """Return the ids of what explains it."""
        ids = [f"{self.field.name}-help"] if self.field.teaches else []
        return " ".join([*ids, *([f"{self.field.name}-faults"] if self.faults else [])])


@dataclass(frozen=True, slots=True)
class Part:
    """A section, ready to render."""

    section: Section
    fields: Sequence[Shown]

    @property
    def is_open(self) -> bool:
        """Say whether it is to be seen at once."""
        return not self.section.folded or any(shown.value or shown.chosen or shown.faults for shown in self.fields)


def values_of(spec: Mapping[str, Json], sections: Sequence[Section]) -> dict[str, str]:
    """Return what each field holds of a document."""
    rest = json.loads(json.dumps(spec))
    values = {field.name: _text(field, _taken(rest, field.place)) for field in _fields(sections) if field.name != MORE}
    return values | {MORE: pretty(rest) if (rest := _without_empty(rest)) else ""}


def spec_of(values: Values, sections: Sequence[Section]) -> tuple[dict[str, Json], list[Problem]]:
    """Return the document that the fields make, and what cannot be read in them, by the fields' places."""
    spec: dict[str, Json] = {}
    problems: list[Problem] = []
    rest = values.get(MORE, "").strip()
    if rest:
        try:
            told = json.loads(rest)
            if not isinstance(told, dict):
                raise ValueError("it must be a JSON object: { … }")
            spec = told
        except ValueError as error:
            problems.append(Problem(f"/{MORE}", f"This is not JSON: {error}.", "form"))
    for field in _fields(sections):
        text = values.get(field.name, "").strip()
        if field.name == MORE or not text:
            continue
        try:
            _put(spec, field.place, _value(field, text))
        except ValueError as error:
            problems.append(Problem(f"/{field.place}", str(error), "form"))
    return spec, problems


def shown(sections: Sequence[Section], values: Values, faults: Sequence[Mapping[str, str]] = ()) -> list[Part]:
    """Return the form, ready to render. faults: `{pointer, detail}` by places in the document."""
    return [
        Part(section, [_shown(field, values.get(field.name, ""), faults) for field in section.fields])
        for section in sections
    ]


def with_choices(sections: Sequence[Section], choices: Mapping[str, Sequence[str]]) -> list[Section]:
    """Return the form with the choices that the tenant has. choices: by field."""
    return [
        replace(
            section,
            fields=[
                replace(field, choices=choices[field.name]) if field.name in choices else field
                for field in section.fields
            ],
        )
        for section in sections
    ]


def _shown(field: Field, value: str, faults: Sequence[Mapping[str, str]]) -> Shown:
    own = [fault["detail"] for fault in faults if f"{fault['pointer']}/".startswith(f"/{field.place or field.name}/")]
    chosen = [line for line in value.splitlines() if line] if field.form == "names" else []
    if field.form == "names":
        field = replace(field, choices=[*field.choices, *(each for each in chosen if each not in field.choices)])
    return Shown(field, value, own, chosen)


def _fields(sections: Sequence[Section]) -> Iterator[Field]:
    for section in sections:
        yield from section.fields


def _taken(rest: dict[str, Json], place: str) -> Json:
    """Take what stands at `place` out of `rest`."""
    *path, last = place.split("/")
    for name in path:
        inner = rest.get(name)
        if not isinstance(inner, dict):
            return None
        rest = inner
    return rest.pop(last, None)


def _without_empty(rest: dict[str, Json]) -> dict[str, Json]:
    return {name: value for name, value in rest.items() if value != {}}


def _put(spec: dict[str, Json], place: str, value: Json) -> None:
    *path, last = place.split("/")
    for name in path:
        inner = spec.setdefault(name, {})
        if not isinstance(inner, dict):
            raise ValueError(f"{name} is given in the further parts as something else already.")
        spec = inner
    spec[last] = value


def _text(field: Field, value: Json) -> str:
    if value is None:
        return ""
    if field.form in {"lines", "names"} and isinstance(value, list):
        return "\n".join(" ".join(str(each).split("\n")) for each in value)
    if field.form == "json" or not isinstance(value, str | int | float):
        return pretty(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _value(field: Field, text: str) -> Json:
    if field.form in {"lines", "names"}:
        return [line.strip() for line in text.splitlines() if line.strip()]
    if field.form == "json":
        try:
            return json.loads(text)
        except ValueError as error:
            raise ValueError(f"This is not JSON: {error}.") from error
    if field.form == "number":
        try:
            return int(text)
        except ValueError as error:
            raise ValueError("Write a whole number.") from error
    return {"true": True, "false": False}.get(text, text) if field.form == "yes" else text

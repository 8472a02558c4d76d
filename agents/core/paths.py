"""Which fields expressions and pointers may name: a walk through JSON Schemas beside the text that names them. Pure.

A schema that says nothing of a place lets anything stand there. One with `properties` means those, unless it says that
there are more (`additionalProperties`, `patternProperties`, conditions); `$ref` within it and what `allOf`, `anyOf` and
`oneOf` put together are followed.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from agents.core.wording import meant

Json = Any

#: Keywords that let an object have properties which nothing here can list.
_MORE: Final = frozenset({"$dynamicRef", "if", "dependentSchemas", "patternProperties"})
_TOGETHER: Final = ("allOf", "anyOf", "oneOf")

#: How many of the names that there are instead are told.
_SHOWN: Final = 30

#: How many references and combinations are followed to find out about one place.
_MOST: Final = 200

#: Texts and comments, and a name that no dot precedes.
_TOKEN: Final = re.compile(
    r'[rRbB]{0,2}(?:""".*?"""|\'\'\'.*?\'\'\'|"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\')|//[^\n]*'
    r"|(?<![\w.])(?P<root>[A-Za-z_]\w*)",
    re.DOTALL,
)
_STEP: Final = re.compile(
    r"\s*(?:\.\s*(?P<method>[A-Za-z_]\w*)\s*\((?:\s*(?P<variable>[A-Za-z_]\w*)\s*,)?"
    r"|\.\s*(?P<field>[A-Za-z_]\w*)"
    r"""|\[\s*(?:"(?P<double>[^"\\]*)"|'(?P<single>[^'\\]*)')\s*\]"""
    r"|\[\s*(?P<index>\d+)\s*\])"
)
_MACROS: Final = frozenset({"all", "exists", "exists_one", "filter", "map"})


@dataclass(frozen=True, slots=True)
class Place:
    """What may stand somewhere: one of these schemas, whose references lead into `root`. None of them: anything."""

    schemas: tuple[Json, ...] = ()
    root: Json = None

    @property
    def is_anything(self) -> bool:
        """Whether nothing is said of it."""
        return not self.schemas


ANYTHING: Final = Place()


@dataclass(frozen=True, slots=True)
class Unknown:
    """A step that leads nowhere. path: as it is written, up to it; name: the step; known: what there is instead."""

    path: str
    name: str
    known: tuple[str, ...]

    @property
    def words(self) -> str:
        """Say it, and what there is."""
        return f"There is no {self.path}.{self.instead}"

    @property
    def instead(self) -> str:
        """Say what there is: the nearest known name, and all of them."""
        if not self.known:
            return " Nothing stands below it."
        return f"{meant(self.name, self.known)} Known: {', '.join(self.known[:_SHOWN])}."


def place(schema: Json) -> Place:
    """Return the place that a whole schema describes; None describes nothing."""
    return ANYTHING if schema is None else Place((schema,), schema)


def whole(parts: Mapping[str, Place]) -> Place:
    """Return an object that has these parts and no others; each has to be of a schema of its own."""
    return Place(({_PARTS: dict(parts)},))


#: Where `whole` keeps its parts; no schema has such a keyword.
_PARTS: Final = " parts"


def pointed(start: Place, pointer: str) -> Place | Unknown:
    """Return what a JSON pointer (RFC 6901) leads to."""
    here = start
    for number, step in enumerate(pointer.split("/")[1:], 1):
        name = step.replace("~1", "/").replace("~0", "~")
        found = element(here) if name.isdigit() and _is_list(here) else field(here, name)
        if not isinstance(found, Place):
            return Unknown("/".join(pointer.split("/")[: number + 1]), name, found)
        here = found
    return here


def unknown(expression: str, names: Mapping[str, Place]) -> Iterator[Unknown]:
    """Yield the first step of each path in a CEL expression that leads nowhere. names: what it may speak of."""
    known: dict[str, list[Place]] = {name: [its] for name, its in names.items()}
    for token in _TOKEN.finditer(expression):
        if token["root"] in known:
            walked = [_walk(expression, token.end(), token["root"], start, known) for start in known[token["root"]]]
            lost = [each for each in walked if each is not None]
            if len(lost) == len(walked):
                yield lost[0]


def _walk(expression: str, at: int, path: str, here: Place, known: dict[str, list[Place]]) -> Unknown | None:
    """Follow one path; where it ends in a macro, the macro's variable is one of the place's elements from then on."""
    while (step := _STEP.match(expression, at)) is not None:
        at = step.end()
        if step["method"] is not None:
            if step["method"] in _MACROS and step["variable"] is not None:
                known.setdefault(step["variable"], []).append(element(here))
            return None
        if step["index"] is not None:
            here, path = element(here), f"{path}[{step['index']}]"
            continue
        name = next(each for each in (step["field"], step["double"], step["single"]) if each is not None)
        path = f"{path}.{name}"
        found = field(here, name)
        if not isinstance(found, Place):
            return Unknown(path, name, found)
        here = found
    return None


def field(here: Place, name: str) -> Place | tuple[str, ...]:
    """Return the place of an object's field; the names that there are, sorted, when it is none of them."""
    described, more = False, here.is_anything
    known: set[str] = set()
    found: list[Json] = []
    for schema in _alternatives(here):
        if schema is True:
            return ANYTHING
        if schema is False or _excludes(schema, "object"):
            described = True
            continue
        if _PARTS in schema:
            parts: Mapping[str, Place] = schema[_PARTS]
            return parts.get(name, tuple(sorted(parts)))
        properties = schema.get("properties") or {}
        described = described or bool(properties) or schema.get("additionalProperties") is False
        known |= properties.keys()
        others = schema.get("additionalProperties")
        if name in properties:
            found.append(properties[name])
        elif others not in (None, False) or _MORE & schema.keys():
            more = True
    if found:
        return ANYTHING if more else Place(tuple(found), here.root)
    return tuple(sorted(known)) if described and not more else ANYTHING


def element(here: Place) -> Place:
    """Return the place of a list's elements; of anything else, nothing is known."""
    found: list[Json] = []
    for schema in _alternatives(here):
        if isinstance(schema, Mapping) and _may_be(schema, "array"):
            if "items" not in schema and "prefixItems" not in schema:
                return ANYTHING
            found += [schema["items"]] if "items" in schema else []
            found += schema.get("prefixItems", ())
    return Place(tuple(found), here.root) if found else ANYTHING


def is_number(here: Place) -> bool:
    """Say whether a number may stand there, and is meant to."""
    kinds = [schema.get("type") for schema in _alternatives(here) if isinstance(schema, Mapping)]
    return any({"number", "integer"} & set([kind] if isinstance(kind, str) else kind or ()) for kind in kinds)


def _is_list(here: Place) -> bool:
    return any(isinstance(schema, Mapping) and schema.get("type") == "array" for schema in _alternatives(here))


def _may_be(schema: Mapping[str, Json], kind: str) -> bool:
    return not _excludes(schema, kind)


def _excludes(schema: Mapping[str, Json], kind: str) -> bool:
    """Say whether the schema's `type` is known and another."""
    kinds = schema.get("type")
    return kinds is not None and kind not in ([kinds] if isinstance(kinds, str) else kinds)


def _alternatives(here: Place) -> Sequence[Json]:
    """Return the schemas of a place, with those they refer to or are put together of; True where one cannot tell."""
    found: list[Json] = []
    left = list(here.schemas)
    for _ in range(_MOST):
        if not left:
            return found
        schema = left.pop()
        if not isinstance(schema, Mapping):
            found.append(schema)
            continue
        together = [part for key in _TOGETHER for part in schema.get(key, ())]
        referred = _referred(here.root, schema["$ref"]) if "$ref" in schema else None
        left += together if referred is None else [*together, referred]
        own = {key: value for key, value in schema.items() if key not in {*_TOGETHER, "$ref", "$defs"}}
        if own or not (together or referred is not None):
            found.append(own)
    return [True]


def _referred(root: Json, reference: Json) -> Json:
    """Return what a reference within the document leads to; True, which is anything, where it leads elsewhere."""
    if not isinstance(reference, str) or not (reference == "#" or reference.startswith("#/")):
        return True
    here = root
    for step in reference.split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        if not isinstance(here, Mapping) or name not in here:
            return True
        here = here[name]
    return here

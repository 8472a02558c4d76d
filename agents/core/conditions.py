"""Conditions on grants, approvals and policies: CEL over a call's `args` and what stands around it, checked when saved
against the tool's input schema. Pure.

The check knows more than evaluating does: which arguments there are and of what type. Evaluated is the same text with
nothing declared; whatever then goes wrong is a no (`rules.holds`).
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from cel_expr_python import cel

from agents.core import paths, rules
from agents.core.rules import BadRule
from agents.core.wording import meant

Json = Any

#: Of a member: id, e-mail address, role, and the slugs of their teams.
PRINCIPAL: Final = {
    "id": cel.Type.STRING,
    "email": cel.Type.STRING,
    "role": cel.Type.STRING,
    "teams": cel.Type.List(cel.Type.STRING),
}

#: Of the tool that is called, and of the run that calls it: money in US cents, rounded up; private: whether it has read
#: what a tool marks as private.
TOOL: Final = {"name": cel.Type.STRING, "effect": cel.Type.STRING, "version": cel.Type.INT}
RUN: Final = {
    "id": cel.Type.STRING,
    "agent": cel.Type.STRING,
    "version": cel.Type.INT,
    "input": cel.Type.DYN,
    "turn": cel.Type.INT,
    "tool_calls": cel.Type.INT,
    "cost_cents": cel.Type.INT,
    "private": cel.Type.BOOL,
}
_WHOLES: Final = {"principal": PRINCIPAL, "tool": TOOL, "run": RUN}

#: A JSON `number` comes as an integer or a fraction, so nothing is declared for it.
_TYPES: Final = {
    "string": cel.Type.STRING,
    "integer": cel.Type.INT,
    "boolean": cel.Type.BOOL,
    "array": cel.Type.List(cel.Type.DYN),
    "object": cel.Type.Map(cel.Type.STRING, cel.Type.DYN),
}

#: Keywords that let an object have properties which `properties` does not name.
_OPEN: Final = frozenset(
    {"$ref", "$dynamicRef", "allOf", "anyOf", "oneOf", "if", "patternProperties", "dependentSchemas", "propertyNames"}
)

_IDENTIFIER: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_HAS: Final = re.compile(r"\bhas\s*\(\s*(?:args|principal|tool|run)(?:\s*\.\s*\w+)+\s*\)")
_NAMED: Final = re.compile(
    r"""(?<![\w.])(?P<of>args|principal|tool|run)\s*(?:\.\s*(?P<field>[A-Za-z_]\w*)|\[\s*(?P<quoted>"[^"\\]*"|'[^'\\]*')\s*\])"""
    r'''|""".*?"""|\'\'\'.*?\'\'\'|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*\'''',
    re.DOTALL,
)


def check(expression: str, schema: Mapping[str, Json], *, names: tuple[str, ...] = rules.GRANT) -> None:
    """Raise `BadRule`, with the reason, unless the expression can be a condition on arguments of `schema`.

    names: what it may speak of, `rules.GRANT` or `rules.APPROVAL`.
    """
    rules.check(expression, names)
    check_names(expression, schema)
    properties = schema.get("properties") or {}
    typed = {f"{of}.{name}": kind for of in _WHOLES if of in names for name, kind in _WHOLES[of].items()}
    if "taint" in names:
        typed["taint"] = cel.Type.BOOL
    for name, its in properties.items():
        kind = _TYPES.get(str(its.get("type"))) if isinstance(its, Mapping) else None
        if kind is not None and _IDENTIFIER.match(name):
            typed[f"args.{name}"] = kind
    # `has` asks for a field of a declared whole; it is true or false whatever the field's type.
    # What stands in its place is as long, so that the columns of what follows stay.
    asked = _HAS.sub(lambda found: "true".ljust(len(found[0])), expression)
    rules.check_typed(asked, {**dict.fromkeys(names, cel.Type.DYN), **typed})


def check_names(expression: str, schema: Mapping[str, Json]) -> None:
    """Raise `BadRule` if the expression names an argument that is not in `schema`, or what nothing has."""
    known = {of: set(fields) for of, fields in _WHOLES.items()} | {"args": set(schema.get("properties") or {})}
    for of, name in _names(expression):
        if name not in known[of] and not (of == "args" and _open(schema)):
            others = f" Known: {', '.join(sorted(known[of]))}." if known[of] else " The tool takes no arguments."
            raise BadRule(f"There is no {of}.{name}.{meant(name, known[of]) or others}")
    for lost in paths.unknown(expression, {"args": paths.place(schema)}):  # what stands deeper
        raise BadRule(lost.words)


def _names(expression: str) -> Iterator[tuple[str, str]]:
    """Yield (args, principal, tool or run, field) for each field that the expression names, those in texts left out."""
    for found in _NAMED.finditer(expression):
        if found["of"] is not None:
            yield found["of"], found["field"] or found["quoted"][1:-1]


def _open(schema: Mapping[str, Json]) -> bool:
    return bool(_OPEN & schema.keys()) or schema.get("additionalProperties") not in (None, False)

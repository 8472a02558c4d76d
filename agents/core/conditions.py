"""Conditions on grants: CEL over `args` and `principal`, checked when saved against the tool's input schema. Pure.

The check knows more than evaluating does: which arguments there are and of what type. Evaluated is the same text with
nothing declared; whatever then goes wrong is a no (`rules.holds`).
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from cel_expr_python import cel

from agents.core import rules
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
_HAS: Final = re.compile(r"\bhas\s*\(\s*(?:args|principal)(?:\s*\.\s*\w+)+\s*\)")
_NAMED: Final = re.compile(
    r"""(?<![\w.])(?P<of>args|principal)\s*(?:\.\s*(?P<field>[A-Za-z_]\w*)|\[\s*(?P<quoted>"[^"\\]*"|'[^'\\]*')\s*\])"""
    r'''|""".*?"""|\'\'\'.*?\'\'\'|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*\'''',
    re.DOTALL,
)


def check(expression: str, schema: Mapping[str, Json]) -> None:
    """Raise `BadRule`, with the reason, unless the expression can be a condition on arguments of `schema`."""
    rules.check(expression, rules.GRANT)
    check_names(expression, schema)
    properties = schema.get("properties") or {}
    typed = {f"principal.{name}": kind for name, kind in PRINCIPAL.items()}
    for name, its in properties.items():
        kind = _TYPES.get(str(its.get("type"))) if isinstance(its, Mapping) else None
        if kind is not None and _IDENTIFIER.match(name):
            typed[f"args.{name}"] = kind
    # `has` asks for a field of a declared whole; it is true or false whatever the field's type.
    # What stands in its place is as long, so that the columns of what follows stay.
    asked = _HAS.sub(lambda found: "true".ljust(len(found[0])), expression)
    rules.check_typed(asked, {**dict.fromkeys(rules.GRANT, cel.Type.DYN), **typed})


def check_names(expression: str, schema: Mapping[str, Json]) -> None:
    """Raise `BadRule` if the expression names an argument that `schema` has not, or what no principal has."""
    known = {"principal": set(PRINCIPAL), "args": set(schema.get("properties") or {})}
    for of, name in _names(expression):
        if name not in known[of] and not (of == "args" and _open(schema)):
            others = f" Known: {', '.join(sorted(known[of]))}." if known[of] else " The tool takes no arguments."
            raise BadRule(f"There is no {of}.{name}.{meant(name, known[of]) or others}")


def _names(expression: str) -> Iterator[tuple[str, str]]:
    """Yield (args or principal, field) for each field that the expression names, those in texts left out."""
    for found in _NAMED.finditer(expression):
        if found["of"] is not None:
            yield found["of"], found["field"] or found["quoted"][1:-1]


def _open(schema: Mapping[str, Json]) -> bool:
    return bool(_OPEN & schema.keys()) or schema.get("additionalProperties") not in (None, False)

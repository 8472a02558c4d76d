"""Whether every field that an agent's document names is one that its schemas and its tools have. Pure.

Looked at are the expressions over input, output and tools, and the pointers into input and output: a name that nothing
has would make a rule that always holds or never, and nobody would see it.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from agents.core import paths
from agents.core.partners import named
from agents.core.paths import Place, Unknown
from agents.core.rules import BadRule, check
from agents.core.schema import Problem

Json = Any
Spec = Mapping[str, Json]

#: An output without a schema is a text.
_TEXT: Final = {"type": "string"}


def problems(spec: Spec, tools: Mapping[str, Spec]) -> Iterator[Problem]:
    """Yield each name in an agent's `spec` that leads nowhere. tools: the `spec` of each tool of the tenant by name."""
    known = {
        "input": paths.place(spec.get("input_schema")),
        "output": output(spec),
        "tools": paths.whole(_results(spec, tools)),
    }
    for place, expression in _expressions(spec):
        if _compiles(expression):  # otherwise that is what is told
            for lost in paths.unknown(expression, known):
                yield Problem(place, _words(lost, tools), "document")
    for place, of, pointer in _pointers(spec):
        found = paths.pointed(known[of], pointer)
        if isinstance(found, Unknown):
            yield Problem(place, f"The {of}_schema has no {found.path}.{found.instead}", "document")


def output(spec: Spec) -> Place:
    """Return what an agent's output is."""
    return paths.place(spec.get("output_schema", _TEXT))


def _results(spec: Spec, tools: Mapping[str, Spec]) -> dict[str, Place]:
    """Return what the results of its tools are, and of those that these fall back on."""
    found: dict[str, Place] = {}
    left = [name for name in spec.get("tools", ()) if name in tools]
    while left:
        name = left.pop()
        if name not in found:
            found[name] = paths.place(tools[name].get("output_schema"))
            left += [other for other in named(tools[name]) if other in tools]
    return found


def _expressions(spec: Spec) -> Iterator[tuple[str, str]]:
    for index, rule in enumerate(spec.get("rules", ())):
        yield f"/rules/{index}/assert", rule["assert"]
    for index, row in enumerate(spec.get("decisions", ())):
        yield f"/decisions/{index}/when", row["when"]
    if "escalate_when" in spec:
        yield "/escalate_when", spec["escalate_when"]
    if "triage" in spec:
        yield "/triage/escalate_when", spec["triage"]["escalate_when"]


def _pointers(spec: Spec) -> Iterator[tuple[str, str, str]]:
    """Yield (place in the document, `input` or `output`, pointer)."""
    for index, pointer in enumerate(spec.get("subject", ())):
        yield f"/subject/{index}", "input", pointer
    for side in ("input", "output"):
        block = (spec.get("guards") or {}).get(side) or {}
        for index, rule in enumerate(block.get("rules", ())):
            if rule.get("at") and (side == "input" or "output_schema" in spec):
                yield f"/guards/{side}/rules/{index}/at", side, rule["at"]


def _compiles(expression: str) -> bool:
    try:
        check(f"!({expression})", ("input", "output", "tools"))
    except BadRule:
        return False
    return True


def _words(lost: Unknown, tools: Mapping[str, Spec]) -> str:
    if lost.path == f"tools.{lost.name}" and lost.name in tools:
        return f"The agent has no tool {lost.name}: list it among its tools, or leave it out here."
    return lost.words

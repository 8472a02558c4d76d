"""What is allowed in an agent's document and is likely to be regretted: hints, never refusals. Pure.

The checks that refuse stand in `document`; these say what makes agents decide badly: tools that the model cannot tell
apart or whose failures it has never seen, rules that no output fits.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice, product
from typing import Any, Final

from agents.core import rules
from agents.core.builtin import ESCALATE
from agents.core.schema import Problem, problems, validator

Json = Any
Spec = Mapping[str, Json]

#: Words that a description needs at least to tell a model when to call a tool.
WORDS: Final = 5

#: Outputs that a rule is tried on at most, made of the schema's choices and bounds.
TRIED: Final = 256

#: What a text of a schema that says nothing more is tried with.
_TEXTS: Final = ("", "text")


def hints(spec: Spec, tools: Sequence[Spec]) -> list[Problem]:
    """Return what to think about. spec: the document; tools: those it offers, complete, each with its `name`."""
    return [*_of_tools(tools), *_of_agent(spec, tools), *_of_rules(spec)]


def _of_tools(tools: Sequence[Spec]) -> Iterator[Problem]:
    for tool in tools:
        name = tool["name"]
        if len(str(tool.get("description", "")).split()) < WORDS:
            yield _hint("/tools", f"{name}: its description is vague. Say what it returns and when to call it.")
        examples = tool.get("examples") or ()
        if not examples:
            yield _hint("/tools", f"{name}: it has no example. Show one call with its result.")
        elif not any("error" in each for each in examples):
            yield _hint("/tools", f"{name}: no example shows an error, so the model has never seen it fail.")


def _of_agent(spec: Spec, tools: Sequence[Spec]) -> Iterator[Problem]:
    if spec.get("escalation") and ESCALATE not in (spec.get("tools") or ()):
        yield _hint("/tools", f"It is told when to ask a person and cannot: offer {ESCALATE}.")
    if spec.get("rules") and not spec.get("output_schema"):
        yield _hint("/output_schema", "It has rules and no output schema: a rule sees one text, and little to check.")
    acting = [tool["name"] for tool in tools if tool.get("effect", "read") != "read"]
    if acting and not spec.get("workflow"):
        yield _hint("/workflow", f"It may change things by {', '.join(acting)}: say in which order, and when not.")


def _of_rules(spec: Spec) -> Iterator[Problem]:
    schema = spec.get("output_schema")
    if not isinstance(schema, Mapping):
        return
    check = validator(schema)
    tried = [each for each in islice(_outputs(schema), TRIED) if not problems(check, each)]
    for place, rule in enumerate(spec.get("rules") or ()):
        expression = rule["assert"]
        if any(rules.speaks_of(expression, rules.OUTPUT_RULE, name) for name in ("input", "tools")):
            continue  # what these hold is not known yet
        held = [_holds(expression, each) for each in tried]
        named = rule.get("id", place)
        if held and not any(held):
            yield _hint(f"/rules/{place}", f"{named}: it held for none of {len(held)} outputs that the schema allows.")
        elif len(held) > 1 and all(held):
            yield _hint(
                f"/rules/{place}", f"{named}: it held for all of {len(held)} outputs tried; does it say anything?"
            )


def _holds(expression: str, output: Json) -> bool:
    return rules.holds(expression, rules.OUTPUT_RULE, {"input": {}, "output": output, "tools": {}})


def _outputs(schema: Mapping[str, Json]) -> Iterator[Json]:
    """Yield outputs of the schema: each choice, and the ends and the middle of each range, in every combination."""
    if schema.get("type") != "object" or not isinstance(schema.get("properties"), Mapping):
        yield from _values(schema)
        return
    fields = schema["properties"]
    for chosen in product(*(_values(each) for each in fields.values())):
        yield dict(zip(fields, chosen, strict=True))


def _values(schema: Json) -> list[Json]:
    if not isinstance(schema, Mapping):
        return [None]
    if "enum" in schema:
        return list(schema["enum"])
    if "const" in schema:
        return [schema["const"]]
    kind = schema.get("type")
    if kind == "boolean":
        return [True, False]
    if kind in {"number", "integer"}:
        low = schema.get("minimum", 0)
        high = schema.get("maximum", low + 1_000_000)
        middle = (low + high) / 2
        return [int(low), int(middle), int(high)] if kind == "integer" else [float(low), middle, float(high)]
    if kind == "object":
        return list(islice(_outputs(schema), 8))
    return [[]] if kind == "array" else list(_TEXTS)


def _hint(place: str, words: str) -> Problem:
    return Problem(place, words, "hint")

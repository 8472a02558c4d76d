"""Short ways to write rules over an agent's output: decision tables, thresholds, and templates of when to escalate.

Pure. All of them are sugar: a version pins the plain `rules` and lines of `escalation` that they come to (`expanded`),
so nothing that runs knows of them.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from agents.core import rules
from agents.core.rules import BadRule
from agents.core.schema import Problem
from agents.core.wording import meant

Json = Any
Spec = Mapping[str, Json]

#: What each template tells the model.
TEMPLATES: Final = {
    "ambiguity": "Escalate when the input can be read in more than one way and the ways lead to different answers.",
    "repeated_failure": "Escalate when the same tool has failed three times, instead of trying a fourth time.",
    "out_of_scope": "Escalate when what is asked for is not what this role is for.",
    "high_stakes": "Escalate when what is decided cannot be undone and you are not sure of it.",
}

#: Keywords that let an object have properties which `properties` does not name.
_OPEN: Final = frozenset({"$ref", "$dynamicRef", "allOf", "anyOf", "oneOf", "if", "patternProperties"})
_NUMBERS: Final = frozenset({"number", "integer"})
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_SELECTS: Final = re.compile(
    r"""(?<![\w.])(?P<of>input|output)\s*\.\s*(?P<field>[A-Za-z_]\w*)|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'"""
)


def expanded(spec: Spec) -> dict[str, Json]:
    """Return the `spec` with its tables, thresholds and templates written out as `rules` and `escalation`."""
    plain = {key: value for key, value in spec.items() if key not in {"decisions", "thresholds", "templates"}}
    made = [
        *(_of_row(row) for row in spec.get("decisions", ())),
        *(_of_threshold(t) for t in spec.get("thresholds", ())),
    ]
    if made:
        plain["rules"] = [*spec.get("rules", ()), *made]
    if spec.get("templates"):
        plain["escalation"] = [*spec.get("escalation", ()), *(TEMPLATES[name] for name in spec["templates"])]
    return plain


def problems(spec: Spec) -> Iterator[Problem]:
    """Yield what is wrong with them, and every field of input or output that a rule names and no schema has."""
    if (spec.get("decisions") or spec.get("thresholds")) and "output_schema" not in spec:
        place = "/decisions" if spec.get("decisions") else "/thresholds"
        yield _problem(place, "Rules speak of a structured output, so the agent needs an output_schema.")
        return
    taken = {rule["id"] for rule in spec.get("rules", ())}
    for key in ("decisions", "thresholds"):
        for index, each in enumerate(spec.get(key, ())):
            if each["code"] in taken:
                yield _problem(f"/{key}/{index}/code", f"{each['code']} is used twice.")
            taken.add(each["code"])
    for index, row in enumerate(spec.get("decisions", ())):
        yield from _expression(f"/decisions/{index}/when", row["when"])
    for index, threshold in enumerate(spec.get("thresholds", ())):
        yield from _threshold_problems(f"/thresholds/{index}/path", threshold["path"], spec["output_schema"])
    yield from _select_problems(spec)


def _of_row(row: Spec) -> dict[str, Json]:
    words = row.get("message", f"{row['code']}: {row['when']}")
    return {"id": row["code"], "assert": f"!({row['when']})", "message": words[:1000], "on_fail": row["then"]}


def _of_threshold(threshold: Spec) -> dict[str, Json]:
    path = "".join(f".{name}" for name in _steps(threshold["path"]))
    parts = [
        f"double(output{path}) {sign} {float(threshold[word])!r}"
        for word, sign in (("at_least", ">="), ("at_most", "<="))
        if word in threshold
    ]
    words = threshold.get("message", f"{threshold['path']} is not within its bounds.")
    return {"id": threshold["code"], "assert": " && ".join(parts), "message": words, "on_fail": threshold["then"]}


def _steps(path: str) -> list[str]:
    return path.split("/")[1:]


def _threshold_problems(place: str, path: str, schema: Json) -> Iterator[Problem]:
    for name in _steps(path):
        known = schema.get("properties") or {} if isinstance(schema, Mapping) else {}
        if name not in known:
            yield _problem(place, f"The output_schema has no {path}.{meant(name, known)}")
            return
        schema = known[name]
    kind = schema.get("type") if isinstance(schema, Mapping) else None
    if not _NUMBERS & set([kind] if isinstance(kind, str) else kind or ()):
        yield _problem(place, f"{path} is no number in the output_schema.")
    if not all(_NAME.match(name) for name in _steps(path)):
        yield _problem(place, "A threshold takes names of letters, digits and underscores; write a rule instead.")


def _select_problems(spec: Spec) -> Iterator[Problem]:
    written = [(f"/rules/{index}/assert", rule["assert"]) for index, rule in enumerate(spec.get("rules", ()))]
    written += [(f"/decisions/{index}/when", row["when"]) for index, row in enumerate(spec.get("decisions", ()))]
    written += [("/escalate_when", spec["escalate_when"])] if "escalate_when" in spec else []
    for place, expression in written:
        if any(_expression(place, expression)):
            continue  # which is told already
        for found in _SELECTS.finditer(expression):
            schema = spec.get(f"{found['of']}_schema") if found["of"] else None
            known = schema.get("properties") if isinstance(schema, Mapping) else None
            if known and found["field"] not in known and not _is_open(schema):
                others = meant(found["field"], known) or f" Known: {', '.join(sorted(known))}."
                yield _problem(place, f"There is no {found['of']}.{found['field']}.{others}")


def _is_open(schema: Json) -> bool:
    return bool(_OPEN & schema.keys()) or schema.get("additionalProperties") not in (None, False)


def _expression(place: str, expression: str) -> Iterator[Problem]:
    try:
        rules.check(f"!({expression})", rules.OUTPUT_RULE)
    except BadRule as error:
        yield _problem(place, " ".join(str(error).split()))


def _problem(place: str, message: str) -> Problem:
    return Problem(place, message, "document")

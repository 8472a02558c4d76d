"""Short ways to write rules over an agent's output: decision tables, thresholds, and templates of when to escalate.

Pure. All of them are sugar: a version pins the plain `rules`, lines of `escalation` and `ask_after_failures` that they
come to (`expanded`), so nothing that runs knows of them.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from agents.core import fields, paths, rules
from agents.core.builtin import ESCALATE
from agents.core.paths import Place, Unknown
from agents.core.rules import BadRule
from agents.core.schema import Problem

Json = Any
Spec = Mapping[str, Json]

#: What each template tells the model.
TEMPLATES: Final = {
    "ambiguity": "Escalate when the input can be read in more than one way and the ways lead to different answers.",
    "repeated_failure": "Escalate when the same tool has failed three times, instead of trying a fourth time.",
    "out_of_scope": "Escalate when what is asked for is not what this role is for.",
    "high_stakes": "Escalate when what is decided cannot be undone and you are not sure of it.",
}

#: How often a tool may fail in a row before a person is asked, with `repeated_failure`.
FAILURES: Final = 3

#: What `high_stakes` asks of an output that says how sure it is.
SURE: Final = 0.7
_CONFIDENCE: Final = "/confidence"

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


_SURE_ENOUGH: Final[dict[str, Json]] = {
    "id": "high_stakes",
    "assert": f"has(output.confidence) && double(output.confidence) >= {SURE!r}",
    "message": f"What is decided here needs a confidence of at least {SURE!r}; below, a person confirms it.",
    "on_fail": "escalate",
}


def expanded(spec: Spec) -> dict[str, Json]:
    """Return the `spec` with its tables, thresholds and templates written out as `rules` and `escalation`."""
    plain = {key: value for key, value in spec.items() if key not in {"decisions", "thresholds", "templates"}}
    made = [
        *(_of_row(row) for row in spec.get("decisions", ())),
        *(_of_threshold(t) for t in spec.get("thresholds", ())),
    ]
    named = spec.get("templates", ())
    if "high_stakes" in named and _says_how_sure(spec):
        made.append(_SURE_ENOUGH)
    if made:
        plain["rules"] = [*spec.get("rules", ()), *made]
    if named:
        plain["escalation"] = [*spec.get("escalation", ()), *(TEMPLATES[name] for name in named)]
        plain["tools"] = list(dict.fromkeys([*spec.get("tools", ()), ESCALATE]))  # words alone would move nobody
    if "repeated_failure" in named:
        plain["ask_after_failures"] = FAILURES
    return plain


def _says_how_sure(spec: Spec) -> bool:
    found = paths.pointed(fields.output(spec), _CONFIDENCE)
    return not isinstance(found, Unknown) and paths.is_number(found)


def problems(spec: Spec) -> Iterator[Problem]:
    """Yield what is wrong with them, but for fields in expressions (`agents.core.fields`)."""
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
    named = spec.get("templates", ())
    if _SURE_ENOUGH["id"] in taken and _SURE_ENOUGH["id"] in named and _says_how_sure(spec):
        place = f"/templates/{list(named).index(_SURE_ENOUGH['id'])}"
        yield _problem(place, f"{_SURE_ENOUGH['id']} makes a rule of that name, which another one has already.")
    for index, row in enumerate(spec.get("decisions", ())):
        yield from _expression(f"/decisions/{index}/when", row["when"])
    for index, threshold in enumerate(spec.get("thresholds", ())):
        yield from _threshold_problems(f"/thresholds/{index}/path", threshold["path"], fields.output(spec))


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


def _threshold_problems(place: str, path: str, output: Place) -> Iterator[Problem]:
    found = paths.pointed(output, path)
    if isinstance(found, Unknown):
        yield _problem(place, f"The output_schema has no {found.path}.{found.instead}")
        return
    if not paths.is_number(found):
        yield _problem(place, f"{path} is no number in the output_schema.")
    if not all(_NAME.match(name) for name in _steps(path)):
        yield _problem(place, "A threshold takes names of letters, digits and underscores; write a rule instead.")


def _expression(place: str, expression: str) -> Iterator[Problem]:
    try:
        rules.check(f"!({expression})", rules.OUTPUT_RULE)
    except BadRule as error:
        yield _problem(place, " ".join(str(error).split()))


def _problem(place: str, message: str) -> Problem:
    return Problem(place, message, "document")

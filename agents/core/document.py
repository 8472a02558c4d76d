"""Check the documents that define tools and agents, and bring them into the form that versions pin. Pure.

Nothing passes in silence: an unknown key, an expression that does not compile, an example that contradicts its schema
or a fallback that does more than what it stands in for is a problem with its place. `shapes` says what may stand where.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, Protocol

from agents.core import agent_tools, conditions, fields, guarding, guards, partners, rules, tables
from agents.core.builtin import ESCALATE
from agents.core.money import from_usd, to_usd
from agents.core.schema import Problem, problems, schema_problems, validator
from agents.core.shapes import AGENT, QUEUE, SOURCE, SQL_INPUT, TOOL, TOOL_NAME, TOOL_TYPES
from agents.core.spec import Limits
from agents.core.wording import meant, pointer, shape_problems
from agents.tools.seam import ConfigProblem, ToolDefinition
from audit.canonical import NotCanonical, canonical

Json = Any
Spec = Mapping[str, Json]

MAX_CHARS = 256 * 1024
MAX_DEPTH = 48
MAX_USD_NANO = 1_000_000 * 10**9

_NO_EFFECT: Final = (
    "effect must be given: read when a call changes nothing, write when what it changes can be put right,"
    " irreversible when it cannot; those wait for a person unless approval says otherwise."
)
_ARGUMENT = re.compile(r"\{([A-Za-z_][A-Za-z0-9_-]*)\}")
#: Headers that carry a credential, so that what they hold may only be a reference.
_CREDENTIAL_HEADERS = frozenset({"authorization", "proxy-authorization", "cookie", "x-api-key", "api-key"})
_ANYTHING: Spec = {"type": "object"}


class Kind(Protocol):
    """What is asked of a tool kind here (`agents.tools.seam.ToolKind`)."""

    def problems(self, definition: ToolDefinition) -> list[ConfigProblem]: ...


# --- Tools ---------------------------------------------------------------------------------------------------------


def tool_problems(name: str, spec: Json, *, kinds: Mapping[str, Kind], tools: Mapping[str, Spec]) -> list[Problem]:
    """Return what is wrong with a tool's `spec`; empty when it can be used.

    kinds: the tool kinds of this installation by name. tools: the `spec` of every other tool of the tenant by name.
    """
    found = value_problems(spec) or shape_problems(TOOL, spec)
    if not re.fullmatch(TOOL_NAME, name) or name == ESCALATE:
        found.insert(
            0, Problem("", f"{name!r} cannot be a tool's name: 1 to 64 letters, digits, _ and -, a letter first.")
        )
    found = found or list(_tool_schema_problems(spec))
    if found:
        return found
    return [
        *_example_problems(spec),
        *_kind_problems(name, spec, kinds),
        *_effect_problems(spec),
        *_tool_rule_problems(spec),
        *_condition_problems(name, spec),
        *partners.problems(name, spec, tools),
        *agent_tools.problems(name, spec, tools),
        *_secret_problems(spec),
    ]


def is_shaped(spec: Json) -> bool:
    """Say whether `spec` has the shape of a tool and real schemas, whatever else may be wrong with it."""
    return not (value_problems(spec) or shape_problems(TOOL, spec) or list(_tool_schema_problems(spec)))


def tool_document(name: str, spec: Spec) -> dict[str, Json]:
    """Return the `spec` with its name and every default written out, as an agent's version pins it."""
    document = {
        "name": name,
        "input_schema": SQL_INPUT if spec["type"] == "sql" else {"type": "object", "properties": {}},
        "output_schema": None,
        "examples": [],
        "effect": agent_tools.effect_of(spec),
        "idempotent": False,
        "timeout_s": 30,
        "fallback": None,
        "approval": None,
        **without_grants(spec),
    }
    document["retries"] = {"attempts": 1, "backoff_s": 0.5, **(spec.get("retries") or {})}
    if document["approval"] is not None:
        document["approval"] = {"when": "true", "required": 1, **document["approval"]}
    return document


def tool_definition(document: Spec, version: int = 0) -> ToolDefinition:
    """Return the definition that a tool kind works with. document: as `tool_document` returns it."""
    return ToolDefinition(
        name=document["name"],
        version=version,
        kind=document["type"],
        config=document.get(document["type"]) or {},
        description=document["description"],
        input_schema=document["input_schema"],
        output_schema=document["output_schema"],
        examples=tuple(document["examples"]),
        effect=document["effect"],
        idempotent=document["idempotent"],
        timeout_s=float(document["timeout_s"]),
        attempts=document["retries"]["attempts"],
        backoff_s=float(document["retries"]["backoff_s"]),
        fallback=document["fallback"],
    )


def _tool_schema_problems(spec: Spec) -> Iterator[Problem]:
    yield from _schemas(spec, "input_schema", "output_schema")
    if spec.get("input_schema", {"type": "object"}).get("type") != "object":
        yield _problem("/input_schema/type", "The arguments of a tool are an object: write type: object.")


def _example_problems(spec: Spec) -> Iterator[Problem]:
    check_input = validator(tool_document("x", spec)["input_schema"])
    check_output = validator(spec["output_schema"]) if "output_schema" in spec else None
    for index, example in enumerate(spec.get("examples", ())):
        place = f"/examples/{index}"
        if ("output" in example) == ("error" in example):
            yield _problem(place, "An example has either an output or an error.")
        yield from _at(f"{place}/input", problems(check_input, example["input"]))
        if check_output is not None and "output" in example:
            yield from _at(f"{place}/output", problems(check_output, example["output"]))


def _kind_problems(name: str, spec: Spec, kinds: Mapping[str, Kind]) -> Iterator[Problem]:
    kind = spec["type"]
    for other in TOOL_TYPES:
        if other != kind and other in spec:
            yield _problem(f"/{other}", f"The tool is of type {kind}; remove this block.")
    if kind not in spec:
        yield _problem("", f"A tool of type {kind} needs the block {kind}.")
        return
    for found in kinds[kind].problems(tool_definition(tool_document(name, spec))):
        yield _problem(f"/{kind}{found.pointer}", found.detail)
    if kind == "http":
        yield from _url_problems(spec)


def _url_problems(spec: Spec) -> Iterator[Problem]:
    schema = spec.get("input_schema") or {}
    for argument in sorted(set(_ARGUMENT.findall(str(spec["http"].get("url"))))):
        if argument not in schema.get("properties", {}) or argument not in schema.get("required", ()):
            yield _problem("/http/url", f"{{{argument}}} must be a required property of input_schema.")
    headers = spec["http"].get("headers")
    for header, value in headers.items() if isinstance(headers, Mapping) else ():
        if str(header).lower() in _CREDENTIAL_HEADERS and "secret:" not in str(value):
            place = "/http/headers" + pointer([header])
            yield _problem(place, "A credential never stands in a document: write secret:NAME, and `secret set` it.")


def _effect_problems(spec: Spec) -> Iterator[Problem]:
    effect = spec.get("effect")
    reads = spec["type"] == "sql" or (spec["type"] == "http" and spec.get("http", {}).get("method", "GET") == "GET")
    if effect is None and not reads and not agent_tools.is_one(spec):
        yield _problem("", _NO_EFFECT)
    yield from (_problem(place, words) for place, words in guards.faults(spec))


def _tool_rule_problems(spec: Spec) -> Iterator[Problem]:
    approval = spec.get("approval")
    if approval and "when" in approval:
        schema = tool_document("x", spec)["input_schema"]
        try:
            conditions.check(approval["when"], schema, names=rules.APPROVAL)
        except rules.BadRule as error:
            yield _problem("/approval/when", " ".join(str(error).split()))


def _condition_problems(name: str, spec: Spec) -> Iterator[Problem]:
    schema = tool_document(name, spec)["input_schema"]
    for index, grant in enumerate(spec.get("grants", ())):
        try:
            if "condition" in grant:
                conditions.check(grant["condition"], schema)
        except rules.BadRule as error:
            yield _problem(f"/grants/{index}/condition", " ".join(str(error).split()))


def _secret_problems(spec: Spec) -> Iterator[Problem]:
    for path, text in _texts(spec):
        if text.startswith("secret:") and path[:2] != ("http", "headers"):
            yield _problem(
                pointer(path),
                "A secret cannot stand here: only headers and URLs of data sources take one, and http.auth its name.",
            )


# --- Agents --------------------------------------------------------------------------------------------------------


def agent_problems(spec: Json, tools: Mapping[str, Spec]) -> list[Problem]:
    """Return what is wrong with an agent's `spec`; empty when it can be published.

    tools: the `spec` of every tool of the tenant by name.
    """
    found = value_problems(spec) or shape_problems(AGENT, spec)
    if found:
        return found
    wrong = list(_schemas(spec, "input_schema", "output_schema"))
    return [
        *wrong,
        *_input_problems(spec),
        *_agent_tool_problems(spec, tools),
        *_agent_rule_problems(spec),
        *([] if wrong else [*tables.problems(spec), *fields.problems(spec, tools)]),
        *_usd_problems(spec),
        *_agent_secret_problems(spec),
        *guarding.problems(spec),
    ]


def agent_document(spec: Spec) -> dict[str, Json]:
    """Return the `spec` with every default that governs a run written out, as a version pins it."""
    limits = {key: getattr(Limits(), key) for key in Limits.__slots__ if key != "usd_nano"}
    limits["usd"] = to_usd(Limits().usd_nano)
    guarded = {"guards": guarding.complete(spec["guards"])} if "guards" in spec else {}
    return {
        "tools": [],
        **tables.expanded(without_grants(spec)),
        **guarded,
        "model": {"max_tokens": 8192, **spec["model"]},
        "limits": {**limits, **(spec.get("limits") or {})},
    }


def _input_problems(spec: Spec) -> Iterator[Problem]:
    if "input_schema" in spec and spec["input_schema"].get("type") != "object":
        yield _problem("/input_schema/type", "A run's input is an object: write type: object.")


def _agent_tool_problems(spec: Spec, tools: Mapping[str, Spec]) -> Iterator[Problem]:
    seen: set[str] = set()
    for index, name in enumerate(spec.get("tools", ())):
        place = f"/tools/{index}"
        if name in seen:
            yield _problem(place, f"{name} is named twice.")
        elif name != ESCALATE and name not in tools:
            yield _problem(place, f"There is no tool {name}.{meant(name, [*tools, ESCALATE])}")
        elif name != ESCALATE:
            yield from (_problem(place, words) for words in partners.missing(name, tools))
        seen.add(name)


def _agent_rule_problems(spec: Spec) -> Iterator[Problem]:
    if spec.get("rules") and "output_schema" not in spec:
        yield _problem("/rules", "Rules speak of a structured output, so the agent needs an output_schema.")
    seen: set[str] = set()
    for index, rule in enumerate(spec.get("rules", ())):
        if rule["id"] in seen:
            yield _problem(f"/rules/{index}/id", f"{rule['id']} is used twice.")
        seen.add(rule["id"])
        yield from _rule(f"/rules/{index}/assert", rule["assert"], rules.OUTPUT_RULE)
    if "escalate_when" in spec:
        yield from _rule("/escalate_when", spec["escalate_when"], rules.OUTPUT_RULE)
    if "triage" in spec:
        yield from _rule("/triage/escalate_when", spec["triage"]["escalate_when"], rules.OUTPUT_RULE)


def _usd_problems(spec: Spec) -> Iterator[Problem]:
    usd = (spec.get("limits") or {}).get("usd")
    if usd is None:
        return
    try:
        nano = from_usd(usd)
    except ValueError as error:
        yield _problem("/limits/usd", str(error))
        return
    if not 0 < nano <= MAX_USD_NANO:
        yield _problem("/limits/usd", "Write an amount above 0 and of at most 1000000.")


def _agent_secret_problems(spec: Spec) -> Iterator[Problem]:
    for path, text in _texts(spec):
        if text.startswith("secret:"):
            yield _problem(pointer(path), "A secret cannot stand here: an agent is told everything in its document.")


# --- Data sources and queues ---------------------------------------------------------------------------------------


def source_problems(spec: Json) -> list[Problem]:
    """Return what is wrong with a data source's `spec`."""
    found = value_problems(spec) or shape_problems(SOURCE, spec)
    if (
        not found
        and spec["engine"] == "postgresql"
        and not re.fullmatch(r"secret:[A-Za-z][A-Za-z0-9_-]{0,62}", spec["url"])
    ):
        found = [_problem("/url", "A database's URL holds a password: write secret:NAME, and `secret set` it.")]
    return found


def queue_problems(spec: Json) -> list[Problem]:
    """Return what is wrong with a queue's `spec`."""
    return value_problems(spec) or shape_problems(QUEUE, spec)


# --- What all of them share ----------------------------------------------------------------------------------------


def digest(name: str, spec: Spec) -> str:
    """Return SHA-256 (hex) over the canonical definition. Grants are no part of it."""
    return hashlib.sha256(canonical({"name": name, "spec": without_grants(spec)}).encode()).hexdigest()


def without_grants(spec: Spec) -> dict[str, Json]:
    """Return the `spec` without its `grants`, which are kept apart: they change without a new version."""
    return {key: value for key, value in spec.items() if key != "grants"}


def value_problems(spec: Json) -> list[Problem]:
    """Return why `spec` cannot be kept at all: no mapping, no JSON, too deep, too large."""
    if not isinstance(spec, Mapping):
        return [_problem("", "Write a mapping.")]
    level: list[tuple[tuple[Any, ...], Json]] = [((), spec)]
    for _ in range(MAX_DEPTH):
        level = [pair for path, value in level for pair in _children(path, value)]
        if not level:
            break
    if level:
        return [_problem("", f"The document is nested more than {MAX_DEPTH} levels deep.")]
    for path, text in _texts(spec):
        if "\0" in text:
            return [_problem(pointer(path), "A text holds a NUL character, which cannot be kept.")]
    try:
        size = len(canonical(spec))
    except NotCanonical as error:
        return [_problem("", str(error))]
    return [] if size <= MAX_CHARS else [_problem("", f"The document has {size} characters; at most {MAX_CHARS}.")]


def _children(path: tuple[Any, ...], value: Json) -> Iterator[tuple[tuple[Any, ...], Json]]:
    if isinstance(value, Mapping):
        yield from (((*path, key), item) for key, item in value.items())
    elif isinstance(value, list | tuple):
        yield from (((*path, index), item) for index, item in enumerate(value))


def _texts(value: Json, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], str]]:
    if isinstance(value, str):
        yield path, value
    for below, item in _children(path, value):
        if isinstance(below[-1], str):
            yield below[:-1], below[-1]
        yield from _texts(item, below)


def _schemas(spec: Spec, *keys: str) -> Iterator[Problem]:
    for key in keys:
        if key not in spec:
            continue
        try:
            yield from _at(f"/{key}", schema_problems(spec[key]))
        except RecursionError:
            yield _problem(f"/{key}", "The schema refers to itself without end.")


def _rule(place: str, expression: str, names: tuple[str, ...]) -> Iterator[Problem]:
    try:
        rules.check(expression, names)
    except rules.BadRule as error:
        yield _problem(place, " ".join(str(error).split()))


def _at(place: str, found: list[Problem]) -> Iterator[Problem]:
    return (Problem(place + problem.pointer, problem.message, problem.rule) for problem in found)


def _problem(place: str, message: str) -> Problem:
    return Problem(place, message, "document")

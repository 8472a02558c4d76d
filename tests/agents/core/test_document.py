"""Every rule of a document, each with an input that breaks it."""

from pathlib import Path
from typing import Any

import pytest

from agents.core import document
from agents.core.schema import Problem, schema_problems
from agents.core.shapes import AGENT, QUEUE, SOURCE, TOOL
from agents.tools.registry import build_registry
from egress.client import Client

Json = Any

KINDS = build_registry(client=Client(), sources_dir=Path("/nowhere"))

FETCH: Json = {
    "description": "Fetch a customer.",
    "type": "http",
    "http": {"method": "GET", "url": "https://crm.example/customers/{id}"},
    "input_schema": {"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"]},
    "output_schema": {"type": "object", "properties": {"score": {"type": "integer"}}},
    "effect": "read",
}
AGENT_SPEC: Json = {
    "role": "Loan reviewer.",
    "model": {"id": "claude-opus-4-7"},
    "tools": ["fetch", "escalate_to_human"],
    "output_schema": {"type": "object", "properties": {"decision": {"enum": ["approve", "reject"]}}},
}


def tool(spec: Json, name: str = "fetch", tools: Json = None) -> list[Problem]:
    return document.tool_problems(name, spec, kinds=KINDS, tools=tools or {})


def agent(spec: Json) -> list[Problem]:
    return document.agent_problems(spec, {"fetch": FETCH})


def only(found: list[Problem]) -> tuple[str, str]:
    assert len(found) == 1, found
    return found[0].pointer, found[0].message


@pytest.mark.parametrize("shape", [TOOL, AGENT, SOURCE, QUEUE], ids=lambda shape: shape["title"])
def test_published_schemas_are_schemas(shape: Json) -> None:
    assert schema_problems(shape) == []


def test_a_good_tool_and_a_good_agent_have_no_problems() -> None:
    assert tool(FETCH) == []
    assert agent(AGENT_SPEC) == []


def test_every_key_of_the_contract_is_taken() -> None:
    spec = {
        **FETCH,
        "examples": [{"input": {"id": "C-1"}, "output": {"score": 1}}, {"input": {"id": "?"}, "error": "not found"}],
        "idempotent": True,
        "timeout_s": 10,
        "retries": {"attempts": 3, "backoff_s": 0.5},
        "cache_ttl_s": 60,
        "cache_scope": "tenant",
        "fallback": None,
        "compensate_with": {"tool": "refund", "arguments": {"payment_id": "result.id"}},
        "approval": {"when": "args.id == 'C-1'", "required": 2, "queue": "credit", "expires_s": 86400},
        "data": {"untrusted": True, "private": False, "egress": False},
        "taint": "ask",
        "grants": [{"team": "credit", "permission": "use"}],
    }
    whole = {
        **AGENT_SPEC,
        "constraints": ["Only the tools listed."],
        "workflow": ["Fetch."],
        "escalation": ["When in doubt."],
        "triage": {"model": "claude-haiku-5-5", "escalate_when": "output.decision == 'reject'"},
        "input_schema": {"type": "object"},
        "rules": [{"id": "r", "assert": "output.decision != ''", "message": "No.", "on_fail": "escalate"}],
        "escalate_when": "output.decision == 'approve'",
        "review": {"required": 1, "queue": "credit", "due_s": 60},
        "subject": ["/customer_id"],
        "appeal": {"allowed": True, "within_s": 3600, "to": "credit"},
        "limits": {"turns": 5, "tool_calls": 9, "validation_retries": 1, "usd": "0.50", "tokens": 9, "seconds": 9},
        "grants": [{"user": "a@b.example", "permission": "run"}],
    }

    assert tool(spec) == []
    assert agent(whole) == []


@pytest.mark.parametrize(
    ("change", "pointer", "words"),
    [
        ({"descripton": "x"}, "/descripton", "Did you mean description?"),
        ({"description": "  "}, "/description", "empty"),
        ({"mcp": {"server": "x"}}, "/mcp", "remove this block"),
        ({"type": "htp"}, "/type", "Did you mean http?"),
        ({"effect": "writes"}, "/effect", "Did you mean write?"),
        ({"timeout_s": 0}, "/timeout_s", "more than 0"),
        ({"retries": {"attempts": 11}}, "/retries/attempts", "at most 10"),
        ({"input_schema": {"type": "array"}}, "/input_schema/type", "type: object"),
        ({"input_schema": {"type": "object", "required": 5}}, "/input_schema/required", "5 is not of type 'array'"),
        ({"output_schema": {"$ref": "https://x.example/s"}}, "/output_schema/$ref", "$defs"),
        ({"output_schema": {"$ref": "#"}}, "/output_schema/$ref", "without end"),
        ({"examples": [{"input": {}, "error": "x"}]}, "/examples/0/input", "'id' is a required property"),
        ({"examples": [{"input": {"id": "x"}, "output": {"score": "high"}}]}, "/examples/0/output/score", "integer"),
        ({"examples": [{"input": {"id": "x"}}]}, "/examples/0", "either an output or an error"),
        ({"approval": {"when": "args.id =="}}, "/approval/when", "This is no expression of CEL"),
        ({"approval": {"when": "arg.id == 'x'"}}, "/approval/when", "arg is not known here. Did you mean args?"),
        ({"approval": {"when": "'yes'"}}, "/approval/when", "not true or false"),
        ({"approval": {"required": 0}}, "/approval/required", "at least 1"),
        ({"python": {"function": "x"}}, "/python", "remove this block"),
        ({"http": {"url": "ftp://x.example/{id}"}}, "/http/url", "http"),
        ({"http": {"url": "https://x.example/{other}"}}, "/http/url", "{other} must be a required property"),
        (
            {"http": {"url": "https://x.example/{id}", "headers": {"Authorization": "Bearer abcdef"}}},
            "/http/headers/Authorization",
            "secret:NAME",
        ),
        ({"description": "secret:crm"}, "/description", "A secret cannot stand here"),
        ({"concurrency": 0}, "/concurrency", "at least 1"),
        ({"concurrency": 1001}, "/concurrency", "at most 1000"),
        ({"breaker": {"failures": 0}}, "/breaker/failures", "at least 1"),
        ({"breaker": {"open": 5}}, "/breaker/open", "Did you mean open_s?"),
        ({"breaker": True}, "/breaker", "a mapping"),
        ({"effect": "write", "cache_ttl_s": 5}, "/cache_ttl_s", "Only the results of a tool with effect read"),
        ({"fallback": "fetch"}, "/fallback", "its own fallback"),
        ({"fallback": "fetch_backup"}, "/fallback", "There is no tool fetch_backup."),
        ({"grants": [{"permission": "use"}]}, "/grants/0", "Give one of team, user, not more."),
        ({"grants": [{"team": "x", "permission": "edit"}]}, "/grants/0/permission", "Write one of use."),
    ],
)
def test_a_bad_tool_is_refused_with_its_place(change: Json, pointer: str, words: str) -> None:
    place, message = only(tool({**FETCH, **change}))

    assert place == pointer
    assert words in message


@pytest.mark.parametrize(
    ("change", "pointer", "words"),
    [
        ({"rule": []}, "/rule", "Did you mean rules?"),
        ({"role": "  "}, "/role", "empty"),
        ({"role": 7}, "/role", "Write a text."),
        ({"model": {}}, "/model", "id must be given."),
        ({"model": {"id": "claude opus"}}, "/model/id", "right form"),
        ({"model": {"id": "claude-opus-4-7", "effort": "hihg"}}, "/model/effort", "Did you mean high?"),
        ({"model": {"id": "claude-opus-4-7", "temperature": 0}}, "/model/temperature", "not known"),
        ({"tools": ["fetch", "fetch"]}, "/tools/1", "named twice"),
        ({"tools": ["fecth"]}, "/tools/0", "Did you mean fetch?"),
        ({"tools": ["escalate_to_humans"]}, "/tools/0", "Did you mean escalate_to_human?"),
        ({"input_schema": {"type": "string"}}, "/input_schema/type", "type: object"),
        ({"output_schema": {"type": "objekt"}}, "/output_schema/type", "objekt"),
        ({"rules": [{"id": "a", "assert": "output.x >"}]}, "/rules/0/assert", "This is no expression of CEL"),
        ({"rules": [{"id": "a", "assert": "true"}, {"id": "a", "assert": "true"}]}, "/rules/1/id", "twice"),
        ({"rules": [{"id": "a", "assert": "true", "on_fail": "ignore"}]}, "/rules/0/on_fail", "retry"),
        ({"escalate_when": "outputs.x"}, "/escalate_when", "outputs is not known here. Did you mean output?"),
        ({"subject": ["customer_id"]}, "/subject/0", "right form"),
        ({"limits": {"usd": "lots"}}, "/limits/usd", "decimal string"),
        ({"limits": {"usd": "0"}}, "/limits/usd", "above 0"),
        ({"limits": {"usd": 0.5}}, "/limits/usd", "a text or a whole number"),
        ({"limits": {"turns": True}}, "/limits/turns", "a whole number"),
        ({"limits": {"turns": 0}}, "/limits/turns", "at least 1"),
        ({"constraints": "be good"}, "/constraints", "Write a list."),
        ({"role": "secret:crm"}, "/role", "told everything"),
    ],
)
def test_a_bad_agent_is_refused_with_its_place(change: Json, pointer: str, words: str) -> None:
    place, message = only(agent({**AGENT_SPEC, **change}))

    assert place == pointer
    assert words in message


def test_rules_need_an_output_to_speak_of() -> None:
    spec = {key: value for key, value in AGENT_SPEC.items() if key != "output_schema"}

    assert only(agent({**spec, "rules": [{"id": "a", "assert": "true"}]}))[0] == "/rules"


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ([], "mapping"),
        (None, "mapping"),
        ({"description": "a\0b"}, "NUL"),
        ({"description": "\ud800"}, "surrogate"),
        ({"timeout_s": float("nan")}, "NaN"),
        ({"timeout_s": 2**60}, "as a string"),
        ({1: 2}, "strings"),
        ({"description": "x" * 300_000}, "characters"),
    ],
)
def test_what_cannot_be_kept_is_refused(spec: Json, words: str) -> None:
    assert words in only(tool(spec))[1]
    assert words in only(agent(spec))[1]


def test_depth_is_bounded() -> None:
    deep: Json = {}
    for _ in range(200):
        deep = {"properties": deep}

    assert "levels deep" in only(tool({**FETCH, "input_schema": deep}))[1]


@pytest.mark.parametrize("name", ["", "1x", "a b", "x" * 65, "escalate_to_human", "tool.x"])
def test_a_tool_needs_a_name_the_model_can_call(name: str) -> None:
    assert "cannot be a tool's name" in only(tool(FETCH, name))[1]


def test_an_effect_must_be_said_where_it_does_not_follow() -> None:
    unsaid = {key: value for key, value in FETCH.items() if key != "effect"}
    post = {**unsaid, "http": {"method": "POST", "url": "https://crm.example/customers/{id}"}}

    assert tool(unsaid) == []
    assert only(tool(post))[1].startswith("effect must be given: read when a call changes nothing, write when")


def test_the_kind_checks_its_own_block() -> None:
    place, words = only(tool({"description": "x", "type": "python", "python": {"function": "nope"}, "effect": "read"}))

    assert place == "/python/function"
    assert "nope" in words
    assert only(tool({"description": "x", "type": "sql"}))[1] == "A tool of type sql needs the block sql."


class TestFallbacks:
    def test_it_must_not_do_more(self) -> None:
        stronger = {**FETCH, "effect": "write"}

        assert "has the effect write" in only(tool({**FETCH, "fallback": "b"}, tools={"b": stronger}))[1]
        assert tool({**stronger, "fallback": "b"}, tools={"b": FETCH}) == []

    def test_it_must_take_the_same_arguments(self) -> None:
        other = {**FETCH, "input_schema": {"type": "object", "required": ["account"]}}

        assert "needs account" in only(tool({**FETCH, "fallback": "b"}, tools={"b": other}))[1]

    def test_a_circle_is_refused(self) -> None:
        tools = {"b": {**FETCH, "fallback": "c"}, "c": {**FETCH, "fallback": "fetch"}}

        assert "fetch → b → c → fetch" in only(tool({**FETCH, "fallback": "b"}, tools=tools))[1]

    def test_a_tool_cannot_outgrow_those_it_stands_in_for(self) -> None:
        tools = {"first": {**FETCH, "fallback": "fetch"}}

        assert "is the fallback of first" in only(tool({**FETCH, "effect": "write"}, tools=tools))[1]


def test_a_database_url_is_a_secret() -> None:
    assert document.source_problems({"engine": "postgresql", "url": "secret:crm_db"}) == []
    assert document.source_problems({"engine": "sqlite", "url": "sales.db"}) == []
    assert only(document.source_problems({"engine": "postgresql", "url": "postgresql://u:p@h/d"}))[0] == "/url"
    assert only(document.source_problems({"engine": "oracle", "url": "x"}))[0] == "/engine"


def test_a_queue_is_checked() -> None:
    assert document.queue_problems({"members": ["rita@acme.example"], "teams": [], "due_s": 60}) == []
    assert only(document.queue_problems({"member": []}))[1] == "member is not known here. Did you mean members?"


def test_grants_are_no_part_of_the_definition() -> None:
    granted = {**FETCH, "grants": [{"team": "credit", "permission": "use"}]}

    assert document.digest("fetch", granted) == document.digest("fetch", FETCH)
    assert document.digest("fetch", FETCH) != document.digest("fetch2", FETCH)
    assert document.digest("fetch", FETCH) != document.digest("fetch", {**FETCH, "timeout_s": 5})


def test_defaults_are_written_out_in_what_versions_pin() -> None:
    pinned = document.tool_document("fetch", {**FETCH, "approval": {"queue": "credit"}})
    agent_pinned = document.agent_document({**AGENT_SPEC, "limits": {"usd": "2.5"}})

    assert pinned["timeout_s"] == 30
    assert pinned["retries"] == {"attempts": 1, "backoff_s": 0.5}
    assert pinned["approval"] == {"when": "true", "required": 1, "queue": "credit"}
    assert agent_pinned["limits"]["usd"] == "2.5"
    assert agent_pinned["limits"]["turns"] == 20
    assert agent_pinned["model"] == {"max_tokens": 8192, "id": "claude-opus-4-7"}


REFUND: Json = {**FETCH, "input_schema": {"type": "object", "properties": {"id": {}}, "required": ["id"]}}


@pytest.mark.parametrize(
    ("arguments", "place", "words"),
    [
        ({"id": "result.id +"}, "/compensate_with/arguments/id", "This is no expression of CEL"),
        ({"id": "args.idd"}, "/compensate_with/arguments/id", "There is no args.idd. Did you mean id?"),
        ({"id": "principal.id"}, "/compensate_with/arguments/id", "principal"),
        ({}, "/compensate_with/arguments", "refund needs id."),
        ({"id": "result.id", "idd": "1"}, "/compensate_with/arguments/idd", "refund takes no idd. Did you mean id?"),
    ],
)
def test_what_undoes_a_tool_must_be_called_as_it_wants_to_be(arguments: Json, place: str, words: str) -> None:
    spec = {**FETCH, "compensate_with": {"tool": "refund", "arguments": arguments}}
    refund = {**REFUND, "input_schema": {**REFUND["input_schema"], "additionalProperties": False}}
    found = tool(spec, tools={"refund": refund})
    assert [problem.pointer for problem in found] == [place]
    assert words in found[0].message


def test_a_tool_that_undoes_another_must_stay_fit_for_it() -> None:
    spec = {**FETCH, "compensate_with": {"tool": "refund", "arguments": {"id": "result.id"}}}
    assert tool(REFUND, "refund", {"fetch": spec}) == []
    more = {
        **REFUND,
        "input_schema": {"type": "object", "properties": {"id": {}, "why": {}}, "required": ["id", "why"]},
    }
    found = tool(more, "refund", {"fetch": spec})
    assert [problem.message for problem in found] == ["fetch is undone by it: refund needs why."]


def test_an_agent_needs_what_undoes_its_tools() -> None:
    spec = {**FETCH, "compensate_with": {"tool": "refund", "arguments": {"id": "result.id"}}}
    assert tool(spec) == []
    asked = {**AGENT_SPEC, "tools": ["fetch"]}
    assert [problem.pointer for problem in document.agent_problems(asked, {"fetch": spec})] == ["/tools/0"]
    assert document.agent_problems(asked, {"fetch": spec, "refund": REFUND}) == []

"""What the rehearsal server refuses, because the real API does."""

from typing import Any

import httpx2
import pytest

from agents.providers.rehearsal.signatures import redacted, sign
from tests.agents.providers.rehearsal.requests import HEADERS, assistant, body, call, post, result, text, user


def without(name: str) -> dict[str, Any]:
    value = body()
    del value[name]
    return value


TOOL = {"name": "a", "description": "d", "input_schema": {"type": "object"}}
FORMAT = {"type": "json_schema", "schema": {"type": "object", "properties": {}, "additionalProperties": False}}


def with_format(**schema: Any) -> dict[str, Any]:
    return body(output_config={"format": {"type": "json_schema", "schema": schema}})


def thinking(signature: str | None, thought: str = "hm") -> dict[str, Any]:
    block = {"type": "thinking", "thinking": thought}
    return block if signature is None else {**block, "signature": signature}


REFUSED: list[tuple[Any, str]] = [
    ([], "not a JSON object"),
    (without("max_tokens"), "max_tokens: Field required"),
    (without("model"), "model: Field required"),
    (without("messages"), "messages: Field required"),
    (body(max_tokens="many"), "max_tokens: Input should be a valid integer"),
    (body(max_tokens=True), "max_tokens: Input should be a valid integer"),
    (body(max_tokens=-1), "max_tokens: Input should be greater"),
    (body(max_tokens=10**6), "maximum allowed number of output tokens for claude-opus-4-7"),
    (body(model=5), "model: Input should be a valid string"),
    (body(parameters={}), "parameters: Extra inputs are not permitted"),
    (body(max_output_tokens=5), "max_output_tokens: Extra inputs are not permitted"),
    (body(temperature=0.2), "temperature: `temperature` is not supported by claude-opus-4-7"),
    (body(top_p=0.2), "top_p"),
    (body(top_k=2), "top_k"),
    (body(stream="yes"), "stream: Input should be a valid boolean"),
    (body(system=5), "system: Input should be"),
    (body(system=[text("")]), "text content blocks must be non-empty"),
    (body(cache_control={"type": "forever"}), "cache_control.type"),
    (body(cache_control={"type": "ephemeral", "ttl": "1d"}), "cache_control.ttl"),
    (body(thinking={"type": "enabled", "budget_tokens": 1024}), "thinking.type"),
    (body(model="claude-haiku-4-5", thinking={"type": "enabled"}), "budget_tokens: Field required"),
    (body(model="claude-haiku-4-5", thinking={"type": "enabled", "budget_tokens": 5}), "greater than or equal to 1024"),
    (body(model="claude-haiku-4-5", thinking={"type": "enabled", "budget_tokens": 2000}), "`max_tokens` must be"),
    (body(output_config={"effort": "extreme"}), "does not support effort 'extreme'"),
    (body(output_config={"verbosity": 1}), "output_config.verbosity: Extra inputs"),
    (body(output_config={"format": {"type": "xml"}}), "output_config.format.type"),
    (body(output_config={"format": {"type": "json_schema"}}), "output_config.format.schema: Field required"),
    (with_format(type="object"), "'additionalProperties' must be explicitly set to false"),
    (
        with_format(type="object", properties={"a": {"type": "integer", "minimum": 1}}, additionalProperties=False),
        "min",
    ),
    (with_format(type="array", items={"type": "string", "pattern": "x"}), "'pattern' is not supported"),
    (with_format(type="array", minItems=2), "minItems"),
    (with_format(type="nonsense"), "output_config.format.schema"),
    # Tools.
    (body(tools={}), "tools: Input should be a valid list"),
    (body(tools=[{"name": "a"}]), "tools.0.custom.input_schema: Field required"),
    (body(tools=[{"input_schema": {"type": "object"}}]), "tools.0.custom.name: Field required"),
    (body(tools=[{**TOOL, "name": "a b"}]), "tools.0.custom.name: String should match pattern"),
    (body(tools=[{**TOOL, "name": "a" * 129}]), "tools.0.custom.name: String should match pattern"),
    (body(tools=[{**TOOL, "name": "a\n"}]), "tools.0.custom.name: String should match pattern"),
    (body(tools=[TOOL, TOOL]), "tools: Tool names must be unique."),
    (body(tools=[{**TOOL, "output_schema": {}}]), "tools.0.custom.output_schema: Extra inputs"),
    (body(tools=[{**TOOL, "description": None}]), "tools.0.custom.description"),
    (body(tools=[{**TOOL, "input_schema": {}}]), "input_schema.type: Field required"),
    (body(tools=[{**TOOL, "input_schema": {"type": "string"}}]), "input_schema.type: Input should be 'object'"),
    (body(tools=[{**TOOL, "input_schema": {"type": "object", "properties": 5}}]), "JSON schema is invalid"),
    (body(tools=[{**TOOL, "input_schema": {"type": "object", "required": "a"}}]), "JSON schema is invalid"),
    (body(tool_choice={"type": "auto"}), "may only be specified while providing `tools`"),
    (body(tools=[TOOL], tool_choice={"type": "tool", "name": "b"}), "Tool 'b' not found"),
    (body(tools=[TOOL], tool_choice={"type": "maybe"}), "tool_choice.type"),
    # Messages.
    (body(messages=[]), "at least one message is required"),
    (body(messages={}), "messages: Input should be a valid list"),
    (body("hello"), "messages.0: Input should be a valid dictionary"),
    (body({"role": "robot", "content": "x"}), "messages.0.role"),
    (body({"role": "user"}), "messages.0.content: Field required"),
    (body({**user("x"), "name": "n"}), "messages.0.name: Extra inputs"),
    (body(user("")), "messages.0: all messages must have non-empty content"),
    (body(user("x"), {"role": "assistant", "content": []}, user("y")), "messages.1: all messages must have non-empty"),
    (body(user(text(""))), "text content blocks must be non-empty"),
    (body(user({"type": "text"})), "messages.0.content.0.text.text: Field required"),
    (body(user({"text": "x"})), "messages.0.content.0.type: Field required"),
    (body(user({**text("x"), "mood": "good"})), "messages.0.content.0.text.mood: Extra inputs"),
    (body(user({"type": "hologram"})), "Input tag 'hologram'"),
    (body(user(call("t"))), "Input tag 'tool_use'"),
    (body({"role": "user", "content": 5}), "messages.0.content: Input should be a valid list"),
    (body(assistant("x"), user("y")), 'first message must use the "user" role'),
    (body(user("x"), assistant("The answer is (")), "does not support assistant message prefill"),
    # Tool calls and their results.
    (body(user("x"), assistant(call("t1"))), "messages.1: `tool_use` ids were found without `tool_result` blocks"),
    (body(user("x"), assistant(call("t1")), user("y")), "without `tool_result` blocks immediately after: t1"),
    (body(user("x"), assistant(call("t1"), call("t2")), user(result("t1"))), "immediately after: t2"),
    (body(user("x"), assistant(call("t1")), user(text("so"), result("t1"))), "immediately after: t1"),
    (body(user("x"), assistant(call("t1")), user(result("t1"), result("t1"))), "Found multiple `tool_result` blocks"),
    (body(user("x"), assistant(call("t1")), user(result("t1"), result("t2"))), "unexpected `tool_use_id`"),
    (body(user(result("t1"))), "unexpected `tool_use_id` found in `tool_result` blocks: t1"),
    (body(user("x"), assistant(call("t1")), user(result("t1")), assistant("y"), user(result("t1"))), "unexpected"),
    (
        body(user("x"), assistant(call("t1")), user(result("t1")), assistant(call("t1")), user(result("t1"))),
        "`tool_use` ids must be unique",
    ),
    (body(user("x"), assistant(call("t1"), call("t1")), user(result("t1"))), "`tool_use` ids must be unique"),
    (body(user("x"), assistant({**call("t1"), "input": "{}"}), user(result("t1"))), "tool_use.input"),
    (body(user("x"), assistant(result("t1")), user("y")), "can only be in `user` messages"),
    (body(user({"type": "tool_result"})), "tool_use_id: Field required"),
    (body(user("x"), assistant(call("t1")), user({**result("t1"), "content": {}})), "tool_result.content"),
    (body(user("x"), assistant(call("t1")), user(result("t1", is_error="yes"))), "is_error"),
    (body(user("x"), assistant(call("t1")), user(result("t1", status=1))), "tool_result.status: Extra inputs"),
    # Thinking.
    (body(user("x"), assistant(thinking(None), text("y")), user("z")), "thinking.signature: Field required"),
    (body(user("x"), assistant(thinking(sign("other")), text("y")), user("z")), "Invalid `signature` in `thinking`"),
    (body(user("x"), assistant(thinking("é"), text("y")), user("z")), "Invalid `signature` in `thinking`"),
    (
        body(user("x"), assistant({"type": "redacted_thinking", "data": redacted("y") + "x"}, text("y")), user("z")),
        "Invalid `data` in `redacted_thinking`",
    ),
    (body(user("x"), assistant(call("toolu_01T5")), user(result("toolu_01T5"))), "Expected `thinking`"),
    (body(user("x " * 3_000_000)), "prompt is too long"),
]


@pytest.mark.parametrize(("value", "message"), REFUSED, ids=lambda value: value if isinstance(value, str) else "")
def test_a_breach_is_a_400_that_names_it(rehearsal_url: str, value: Any, message: str) -> None:
    answer = post(rehearsal_url, value)

    error = answer.json()
    assert answer.status_code == 400, error
    assert error["type"] == "error"
    assert error["error"]["type"] == "invalid_request_error"
    assert message in error["error"]["message"]
    assert error["request_id"] == answer.headers["request-id"]


ACCEPTED: list[Any] = [
    body(),
    body(model="claude-opus-4-5-20251101"),
    body(model="claude-haiku-4-5", temperature=0.5),
    body(system=[text("always")]),
    body(user("x"), user("y"), user(text("z"))),
    body(user("x"), assistant("a"), assistant("b"), user("y")),
    body(user("x"), assistant(call("t1"), call("t2")), user(result("t1")), user(result("t2"), text("and so on"))),
    body(user("x"), assistant(call("t2"), call("t1")), user(result("t1"), result("t2"))),
    body(user("x"), assistant({**call("t"), "caller": {"type": "direct"}, "future": 1}), user(result("t"))),
    body(user("x"), assistant({"type": "hologram", "light": 1}), user("y")),
    body(user("x"), assistant(thinking(sign("hm")), text("y")), user("z")),
    body(user("x"), assistant(call("t")), user({"type": "tool_result", "tool_use_id": "t", "content": [text("a")]})),
    body(user("x"), assistant(call("t")), user({"type": "tool_result", "tool_use_id": "t"})),
    body(tools=[TOOL, {"type": "web_search_20250305", "name": "web_search"}], tool_choice={"type": "any"}),
    body(output_config={"effort": "max", "format": FORMAT}, thinking={"type": "adaptive"}),
    body(metadata={"user_id": "u"}, stop_sequences=["x"], service_tier="auto"),
    body(cache_control={"type": "ephemeral", "ttl": "1h"}),
    body(model="claude-haiku-4-5", messages=[user("x"), assistant("The answer is (")]),
]


@pytest.mark.parametrize("value", ACCEPTED)
def test_what_the_api_accepts_is_answered(rehearsal_url: str, value: Any) -> None:
    answer = post(rehearsal_url, value)

    assert answer.status_code == 200, answer.text


def test_an_unknown_model_is_not_found(rehearsal_url: str) -> None:
    answer = post(rehearsal_url, body(model="claude-nobody-9"))

    assert (answer.status_code, answer.json()["error"]["type"]) == (404, "not_found_error")


@pytest.mark.parametrize(
    ("headers", "status", "kind"),
    [
        ({"anthropic-version": "2023-06-01"}, 401, "authentication_error"),
        ({"anthropic-version": "2023-06-01", "x-api-key": ""}, 401, "authentication_error"),
        ({"x-api-key": "key"}, 400, "invalid_request_error"),
        ({"x-api-key": "key", "anthropic-version": "latest"}, 400, "invalid_request_error"),
    ],
)
def test_headers_are_demanded(rehearsal_url: str, headers: dict[str, str], status: int, kind: str) -> None:
    answer = post(rehearsal_url, body(), headers=headers)

    assert (answer.status_code, answer.json()["error"]["type"]) == (status, kind)


def test_a_bearer_token_is_a_key_too(rehearsal_url: str) -> None:
    headers = {"authorization": "Bearer key", "anthropic-version": "2026-10-21"}

    assert post(rehearsal_url, body(), headers=headers).status_code == 200


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"nonsense"])
def test_a_body_that_is_no_json_is_refused(rehearsal_url: str, content: bytes) -> None:
    answer = httpx2.post(f"{rehearsal_url}/v1/messages", content=content, headers=HEADERS)

    assert answer.status_code == 400
    assert "not valid JSON" in answer.json()["error"]["message"]


def test_an_oversized_body_is_413(rehearsal_url: str) -> None:
    answer = post(rehearsal_url, body(user("x" * (33 * 1024 * 1024))))

    assert (answer.status_code, answer.json()["error"]["type"]) == (413, "request_too_large")


@pytest.mark.parametrize("path", ["/", "/v1/complete", "/v1/messages/batches"])
def test_an_unknown_path_is_not_found(rehearsal_url: str, path: str) -> None:
    assert post(rehearsal_url, body(), path).status_code == 404


def test_counting_is_as_strict_but_takes_no_limit(rehearsal_url: str) -> None:
    counted = without("max_tokens")

    assert post(rehearsal_url, counted, "/v1/messages/count_tokens").json()["input_tokens"] > 0
    assert post(rehearsal_url, body(), "/v1/messages/count_tokens").status_code == 400

"""What the provider sends."""

import json
import multiprocessing
import os
from types import MappingProxyType
from typing import Any

import pytest

from agents.core.model import ModelAnswer
from agents.providers import claude
from agents.providers.claude import STREAM_FROM, ClaudeProvider
from tests.agents.providers.conversations import ask, tool
from tests.agents.providers.servers import Recorder

ANSWER = b'{"type":"message","model":"x","content":[],"stop_reason":"end_turn","usage":{"output_tokens":1}}'


@pytest.fixture(autouse=True)
def answering(supplier: Recorder) -> None:
    supplier.body = ANSWER


def sent_by(supplier: Recorder, text: str = "hello", **others: Any) -> Any:
    ClaudeProvider("the key", supplier.url).answer(ask(text, **others), timeout_s=10)
    return json.loads(supplier.bodies[-1])


def test_a_small_request_is_plain_cached_and_without_sampling(supplier: Recorder) -> None:
    assert sent_by(supplier) == {
        "model": "claude-opus-4-7",
        "max_tokens": 2048,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "hello"}]}],
        "cache_control": {"type": "ephemeral"},
    }
    assert supplier.paths == ["/v1/messages"]
    assert supplier.sent_headers[-1]["authorization"] == "Bearer the key"
    assert supplier.sent_headers[-1]["content-type"] == "application/json"
    assert "anthropic-version" in supplier.sent_headers[-1]


def test_system_tools_schema_and_effort_are_sent(supplier: Recorder) -> None:
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {"score": {"type": ["number", "null"], "minimum": 0}},
        "required": ["score"],
    }

    body = sent_by(supplier, system="Be brief.", tools=[tool("a")], output_schema=schema, effort="high")

    assert body["system"] == "Be brief."
    assert body["tools"] == [tool("a")]
    assert body["output_config"]["effort"] == "high"
    assert body["output_config"]["format"] == {
        "type": "json_schema",
        "schema": {
            "type": "object",
            "properties": {
                "score": {
                    "anyOf": [
                        {"type": "number", "description": "{minimum: 0}"},
                        {"type": "null", "description": "{minimum: 0}"},
                    ],
                }
            },
            "additionalProperties": False,
            "required": ["score"],
        },
    }


def test_a_schema_that_cannot_be_expressed_is_left_to_our_own_check(supplier: Recorder) -> None:
    assert "output_config" not in sent_by(supplier, output_schema={"type": "object"})


def test_a_long_answer_is_asked_for_as_a_stream(supplier: Recorder) -> None:
    supplier.headers["content-type"] = "text/event-stream"
    supplier.body = b"".join(
        b"event: %s\ndata: %s\n\n" % (json.loads(event)["type"].encode(), event)
        for event in (
            b'{"type":"message_start","message":' + ANSWER + b"}",
            b'{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":1}}',
            b'{"type":"message_stop"}',
        )
    )

    assert sent_by(supplier, max_tokens=STREAM_FROM)["stream"] is True


def test_numbers_texts_and_unknown_fields_go_out_as_they_came_in(supplier: Recorder) -> None:
    text = '[{"type":"hologram","n":[1,1.0,90071992547409931234,1e-07],"t":"naïve 😀 \\u0000","z":null}]'
    sent = ask("x")
    messages = [*sent.messages, {"role": "assistant", "content": json.loads(text)}, *sent.messages]

    ClaudeProvider("key", supplier.url).answer(
        ask("x").__class__(sent.model, sent.max_tokens, "", messages), timeout_s=10
    )

    assert text.encode() in supplier.bodies[-1]


def test_a_lone_surrogate_travels_as_an_escape(supplier: Recorder) -> None:
    body = sent_by(supplier, "half \ud83d of a pair")

    assert body["messages"][0]["content"][0]["text"] == "half \ud83d of a pair"


def test_frozen_mappings_are_sent(supplier: Recorder) -> None:
    assert sent_by(supplier, tools=(MappingProxyType(dict(tool("a"))),))["tools"] == [tool("a")]


def test_counting_sends_neither_limit_nor_cache(supplier: Recorder) -> None:
    supplier.body = b'{"input_tokens": 42}'

    count = ClaudeProvider("key", supplier.url).count_tokens(ask("x", system="s"))

    assert count == 42
    assert supplier.paths == ["/v1/messages/count_tokens"]
    assert set(json.loads(supplier.bodies[-1])) == {"model", "messages", "system"}


def test_providers_of_one_address_and_key_share_a_client(supplier: Recorder) -> None:
    for key in ("a", "a", "b"):
        ClaudeProvider(key, supplier.url).answer(ask("x"), timeout_s=10)

    shared = [client for (url, _), client in claude._clients.items() if url == supplier.url]
    assert len(shared) == 2


# The test itself forks while its server's thread runs, which Python 3.12 warns about.
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_process_makes_its_own_connections(supplier: Recorder) -> None:
    provider = ClaudeProvider("key", supplier.url)
    provider.answer(ask("x"), timeout_s=10)
    before = claude._clients

    reader, writer = os.pipe()
    child = multiprocessing.get_context("fork").Process(target=_answer_into, args=(provider, writer))
    child.start()
    child.join(30)

    assert os.read(reader, 100) == b"end_turn True"
    assert claude._clients is before
    os.close(reader)
    os.close(writer)


def _answer_into(provider: ClaudeProvider, writer: int) -> None:
    forgotten = not claude._clients
    answer: ModelAnswer = provider.answer(ask("x"), timeout_s=10)
    os.write(writer, f"{answer.stop_reason} {forgotten}".encode())

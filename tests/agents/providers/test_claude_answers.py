"""What the provider makes of whole answers."""

from dataclasses import replace

import pytest

from agents.core.model import ModelError, Usage
from agents.providers.claude import ClaudeProvider
from tests.agents.providers.conversations import ask, continued, new_text, tool
from tests.agents.providers.servers import Recorder

PLAIN, STREAMED = 10**9, 1


@pytest.fixture(params=[PLAIN, STREAMED], ids=["plain", "streamed"])
def provider(request: pytest.FixtureRequest, rehearsal_url: str) -> ClaudeProvider:
    return ClaudeProvider("key", rehearsal_url, stream_from=request.param)


def test_content_arrives_exactly_as_it_was_written(provider: ClaudeProvider) -> None:
    answer = provider.answer(ask('{"customer_id": "C-1"}', system="tools"), timeout_s=10)

    thinking, redacted, text, call, second, unknown = answer.content
    assert answer.stop_reason == "tool_use"
    assert thinking["thinking"] == "The customer is C-1."
    assert thinking["signature"]
    assert redacted["data"]
    assert text == {"type": "text", "text": "I will look at two things — naïvely. 😀 C-1"}
    assert call["name"] == "fetch_customer"
    assert repr(call["input"]) == repr(
        {
            "id": "C-1",
            "one": 1,
            "one_point": 1.0,
            "tiny": 1e-07,
            "huge": 90071992547409931234,
            "nested": {"a": [None, True, "x"]},
        }
    )
    assert second["input"] == {}
    assert call["id"] != second["id"]
    assert repr(unknown["from_the_future"]) == repr({"n": 1.0, "big": 18446744073709551617})


def test_streamed_and_plain_answers_are_equal(rehearsal_url: str) -> None:
    sent = ask('{"customer_id": "C-2"}', system="tools")

    plain = ClaudeProvider("key", rehearsal_url, stream_from=PLAIN).answer(sent, timeout_s=10)
    streamed = ClaudeProvider("key", rehearsal_url, stream_from=STREAMED).answer(sent, timeout_s=10)

    assert repr(replace(plain, request_id=None)) == repr(replace(streamed, request_id=None))


def test_a_block_of_an_unknown_type_is_kept_whole(provider: ClaudeProvider) -> None:
    answer = provider.answer(ask("x", system="unknown block"), timeout_s=10)

    assert repr(answer.content[0]) == repr(
        {
            "type": "hologram",
            "light": [1, 1.0, 123456789012345678901234567890],
            "text": "not a text block",
            "depth": None,
        }
    )


def test_a_conversation_goes_on_with_what_came_back(provider: ClaudeProvider) -> None:
    sent = ask('{"customer_id": "C-3"}', system="tools", tools=[tool("fetch_customer")])
    first = provider.answer(sent, timeout_s=10)
    kept = [block for block in first.content if block.get("text") != ""]

    second = provider.answer(continued(sent, replace(first, content=kept), ["{}", '{"score": 12.50}']), timeout_s=10)

    assert second.content == [{"type": "text", "text": "Score 12.5"}]


@pytest.mark.parametrize(
    ("system", "stop_reason"),
    [
        ("unknown block", "end_turn"),
        ("sequence", "stop_sequence"),
        ("tools", "tool_use"),
        ("stop:pause_turn", "pause_turn"),
        ("stop:max_tokens", "max_tokens"),
        ("stop:context_window", "model_context_window_exceeded"),
        ("stop:refusal", "refusal"),
    ],
)
def test_every_stop_reason_arrives(provider: ClaudeProvider, system: str, stop_reason: str) -> None:
    answer = provider.answer(ask(new_text(), system=system), timeout_s=10)

    assert answer.stop_reason == stop_reason


def test_a_refusal_brings_its_details(provider: ClaudeProvider) -> None:
    sent = ask(new_text(), system="stop:refusal")
    answer = provider.answer(sent, timeout_s=10)
    provider.answer(sent, timeout_s=10)

    assert answer.content == []
    assert answer.stop_details == {
        "type": "refusal",
        "category": None,
        "explanation": "This request was declined.",
    }


def test_arguments_that_were_cut_off_look_like_no_call(provider: ClaudeProvider) -> None:
    sent = ask(new_text(), system="stop:max_tokens")
    answer = provider.answer(sent, timeout_s=10)
    whole = provider.answer(sent, timeout_s=10)

    assert answer.stop_reason == "max_tokens"
    assert answer.content[-1]["input"] == {}
    assert whole.stop_reason == "tool_use"
    assert whole.content[-1]["input"] == {"amount": 1000, "currency": "EUR", "to": "somebody"}


def test_a_paused_turn_goes_on_when_it_is_sent_back_unchanged(provider: ClaudeProvider) -> None:
    sent = ask(new_text(), system="stop:pause_turn")
    paused = provider.answer(sent, timeout_s=10)
    rest = provider.answer(continued(sent, paused), timeout_s=10)

    assert paused.content[-1]["type"] == "server_tool_use"
    assert rest.stop_reason == "tool_use"
    assert [block["type"] for block in rest.content] == ["web_search_tool_result", "thinking", "text", "tool_use"]


def test_empty_content_is_an_answer(provider: ClaudeProvider) -> None:
    assert provider.answer(ask("x", system="empty"), timeout_s=10).content == []


def test_a_repeated_prefix_is_read_from_the_cache(provider: ClaudeProvider) -> None:
    sent = ask(new_text() + "x" * 8000, system="tools")

    first = provider.answer(sent, timeout_s=10).usage
    second = provider.answer(sent, timeout_s=10).usage

    assert first.cache_read_input_tokens == 0
    assert first.cache_creation_input_tokens > 1024
    assert second.cache_read_input_tokens == first.cache_creation_input_tokens
    assert second.cache_creation_input_tokens == 0
    assert first.output_tokens == second.output_tokens > 0


def test_tokens_are_counted(provider: ClaudeProvider) -> None:
    short = provider.count_tokens(ask("hello"))
    long = provider.count_tokens(ask("hello " * 1000, tools=[tool("a")], output_schema={"type": "string"}))

    assert 0 < short < long


def test_models_are_listed_with_their_limits(provider: ClaudeProvider) -> None:
    models = provider.models()

    assert len({model.id for model in models}) == len(models) > 10
    assert all(model.max_input_tokens > 0 and model.max_output_tokens > 0 for model in models)
    assert "thinking" in models[0].capabilities


def test_usage_is_taken_from_the_end_of_a_stream_and_keeps_the_start_of_it(supplier: Recorder) -> None:
    supplier.headers["content-type"] = "text/event-stream"
    supplier.body = b"""event: message_start
data: {"type":"message_start","message":{"id":"m","type":"message","role":"assistant","model":"x","content":[],\
"stop_reason":null,"usage":{"input_tokens":10,"output_tokens":1,"cache_creation_input_tokens":9,\
"cache_creation":{"ephemeral_1h_input_tokens":4,"ephemeral_5m_input_tokens":5}}}}

event: ping
data: {"type":"ping"}

event: an_event_from_the_future
data: {"type":"an_event_from_the_future","x":1}

: a comment

event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":20,"input_tokens":null}}

event: message_stop
data: {"type":"message_stop"}

"""
    answer = ClaudeProvider("key", supplier.url, stream_from=1).answer(ask("x"), timeout_s=10)

    assert answer.usage == Usage(10, 20, 0, 9, 4)


def test_an_unknown_stop_reason_is_no_answer_to_act_upon(supplier: Recorder) -> None:
    supplier.body = b'{"type":"message","model":"x","content":[],"stop_reason":"bored","usage":{"output_tokens":1}}'

    with pytest.raises(ModelError) as caught:
        ClaudeProvider("key", supplier.url).answer(ask("x"), timeout_s=10)

    assert caught.value.fault.code == "provider_error"
    assert not caught.value.fault.retryable
    assert caught.value.fault.billed

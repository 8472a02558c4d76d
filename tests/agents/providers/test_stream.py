"""How streamed events are put together."""

import json
from typing import Any

import pytest

from agents.providers.stream import Accumulator, BrokenStream, StreamError

START = {"type": "message_start", "message": {"type": "message", "content": [], "usage": {"input_tokens": 3}}}
STOP = {"type": "message_stop"}


def finish(reason: str = "end_turn") -> dict[str, Any]:
    return {"type": "message_delta", "delta": {"stop_reason": reason}, "usage": {"output_tokens": 5}}


def block(index: int, start: dict[str, Any], *deltas: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"type": "content_block_start", "index": index, "content_block": start},
        *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": index},
    ]


def accumulate(*events: dict[str, Any]) -> Any:
    accumulator = Accumulator()
    for event in events:
        accumulator.add(json.dumps(event))
    return accumulator.message()


def test_deltas_are_joined_into_their_block() -> None:
    message = accumulate(
        START,
        *block(
            0,
            {"type": "text", "text": "a", "kept": 1.0},
            {"type": "text_delta", "text": "b"},
            {"type": "citations_delta", "citation": {"n": 1}},
            {"type": "text_delta", "text": "c"},
            {"type": "citations_delta", "citation": {"n": 2}},
        ),
        finish(),
        STOP,
    )

    assert message["content"] == [{"type": "text", "text": "abc", "kept": 1.0, "citations": [{"n": 1}, {"n": 2}]}]
    assert message["usage"] == {"input_tokens": 3, "output_tokens": 5}


def test_blocks_may_overlap() -> None:
    first, second = block(0, {"type": "text", "text": ""}, {"type": "text_delta", "text": "1"}), block(1, {"type": "x"})

    message = accumulate(START, first[0], second[0], first[1], first[2], second[1], finish(), STOP)

    assert message["content"] == [{"type": "text", "text": "1"}, {"type": "x"}]


def test_arguments_of_server_tools_are_joined_too() -> None:
    start = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}

    message = accumulate(
        START, *block(0, start, {"type": "input_json_delta", "partial_json": '{"q":1}'}), finish(), STOP
    )

    assert message["content"][0]["input"] == {"q": 1}


CALL = {"type": "tool_use", "id": "t", "name": "pay", "input": {}}
HALF = {"type": "input_json_delta", "partial_json": '{"amount": 10'}


@pytest.mark.parametrize("reason", ["max_tokens", "model_context_window_exceeded", "refusal"])
def test_arguments_cut_off_by_a_stop_are_not_guessed(reason: str) -> None:
    message = accumulate(START, *block(0, dict(CALL), HALF), finish(reason), STOP)

    assert message["content"][0]["input"] == {}


@pytest.mark.parametrize(
    "events",
    [
        [],
        [START],
        [START, finish()],
        [START, block(0, {"type": "text", "text": ""})[0], finish(), STOP],
        [START, *block(1, {"type": "text"}), finish(), STOP],
        [START, START, finish(), STOP],
        [*block(0, {"type": "text"}), STOP],
        [START, {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "x"}}],
        [START, *block(0, {"type": "text"}, {"type": "hologram_delta", "light": 1})],
        [START, *block(0, {"type": "text"}, {"type": "text_delta", "text": 1})],
        [START, *block(0, dict(CALL), HALF), finish("tool_use"), STOP],
        [START, {"type": "content_block_stop", "index": 0}],
        [finish(), STOP],
        [{"no": "type"}],
    ],
)
def test_what_makes_no_whole_message_is_broken(events: list[dict[str, Any]]) -> None:
    with pytest.raises(BrokenStream):
        accumulate(*events)


@pytest.mark.parametrize("data", ["{", '{"type": "ping", "n": NaN}', "[]", "null", '"message_stop"'])
def test_an_event_that_is_no_event_breaks_the_stream(data: str) -> None:
    with pytest.raises(BrokenStream):
        Accumulator().add(data)


def test_an_error_event_is_told_apart() -> None:
    with pytest.raises(StreamError) as caught:
        accumulate(START, {"type": "error", "error": {"type": "overloaded_error"}})

    assert caught.value.body["error"]["type"] == "overloaded_error"

"""The server-sent events of an answer, in the API's order (`RawMessageStreamEvent` of the `anthropic` SDK 2.x)."""

import json
from collections.abc import Iterator
from typing import Any

from agents.core.model import JsonObject
from agents.providers.rehearsal.answers import Answer

_TEXT_PIECE = 40
_JSON_PIECE = 16


def encode(event: JsonObject) -> bytes:
    """Return one event as it goes over the wire."""
    return f"event: {event['type']}\ndata: {json.dumps(event, ensure_ascii=False)}\n\n".encode(errors="replace")


def opening(answer: Answer, usage: JsonObject) -> list[bytes]:
    """Return what the API sends at once: the message's start, and a ping."""
    message = answer.message({**usage, "output_tokens": 1})
    message.update(content=[], stop_reason=None, stop_sequence=None)
    del message["stop_details"]
    return [encode({"type": "message_start", "message": message}), PING]


PING = encode({"type": "ping"})


def rest(answer: Answer, usage: JsonObject) -> list[bytes]:
    """Return the events from the first block to the end."""
    events: list[JsonObject] = []
    last = len(answer.content) - 1
    for index, block in enumerate(answer.content):
        events += _block(index, block, cut=answer.cut and index == last)
    delta = {
        "stop_reason": answer.stop_reason,
        "stop_sequence": answer.stop_sequence,
        "stop_details": answer.stop_details,
    }
    cumulative = {name: usage[name] for name in usage if name.endswith("_tokens")}
    events += [{"type": "message_delta", "delta": delta, "usage": cumulative}, {"type": "message_stop"}]
    return [encode(event) for event in events]


def _block(index: int, block: JsonObject, *, cut: bool) -> Iterator[JsonObject]:
    start = dict(block)
    deltas: list[JsonObject] = []
    kind = block["type"]
    if kind == "text":
        start["text"] = ""
        deltas = [{"type": "text_delta", "text": piece} for piece in _pieces(block["text"], _TEXT_PIECE)]
    elif kind == "thinking":
        start.update(thinking="", signature="")
        deltas = [{"type": "thinking_delta", "thinking": piece} for piece in _pieces(block["thinking"], _TEXT_PIECE)]
        deltas.append({"type": "signature_delta", "signature": block["signature"]})
    elif kind in ("tool_use", "server_tool_use"):
        start["input"] = {}
        text = json.dumps(block["input"], ensure_ascii=False)
        text = text[: len(text) // 2] if cut else text
        deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in ("", *_pieces(text, _JSON_PIECE))]
    yield {"type": "content_block_start", "index": index, "content_block": start}
    for delta in deltas:
        yield {"type": "content_block_delta", "index": index, "delta": delta}
    yield {"type": "content_block_stop", "index": index}


def _pieces(text: str, size: int) -> list[Any]:
    return [text[start : start + size] for start in range(0, len(text), size)]

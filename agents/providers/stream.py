"""Puts a streamed answer together from its raw events. Pure.

The blocks come out as the supplier would have sent them without streaming: fields and block types that we do not
know are kept, numbers keep their kind and size. Source: `RawMessageStreamEvent` and `accumulate_event` of the
`anthropic` SDK 2.x.
"""

import json
from typing import Any

from agents.core.model import Json, JsonObject

# The model may be cut off inside a tool's arguments; those blocks are never executed.
CUT_OFF = frozenset({"max_tokens", "model_context_window_exceeded", "refusal"})


class BrokenStream(Exception):
    """The stream did not make a whole message."""


class StreamError(Exception):
    """The stream carried an `error` event; `body` is its decoded data."""

    def __init__(self, body: Json) -> None:
        super().__init__("The stream carried an error event.")
        self.body = body


def loads(text: str | bytes) -> Any:
    """Decode strict JSON. Raises `ValueError`; NaN and Infinity are none."""
    return json.loads(text, parse_constant=_refuse_constant)


class Accumulator:
    """One message under construction: `add` each event in order, then ask for `message`."""

    def __init__(self) -> None:
        self._message: JsonObject | None = None
        self._content: list[JsonObject] = []
        self._open: set[int] = set()
        # Deltas are joined once at the end: appending to a growing string would be quadratic.
        self._parts: dict[tuple[int, str], list[str]] = {}
        self._done = False

    def add(self, data: str) -> None:
        """Take in one event's data. Raises `BrokenStream` or `StreamError`."""
        try:
            event = loads(data)
            kind = event["type"]
            if kind == "content_block_delta":
                self._delta(event["index"], event["delta"])
            elif kind == "content_block_start":
                self._start(event["index"], event["content_block"])
            elif kind == "content_block_stop":
                self._open.remove(event["index"])
            elif kind == "message_start":
                self._begin(event["message"])
            elif kind == "message_delta":
                self._finish(event)
            elif kind == "message_stop":
                self._done = True
            elif kind == "error":
                raise StreamError(event)
            # `ping` and kinds that are not known yet say nothing about the message.
        except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            raise BrokenStream(f"An event makes no sense: {error!r}") from error

    def message(self) -> JsonObject:
        """Return the whole message, in the form of an answer that was not streamed. Raises `BrokenStream`."""
        if not self._done or self._message is None:
            raise BrokenStream("The stream ended before the message did.")
        if self._open:
            raise BrokenStream("The message ended inside a block.")
        for (index, field), parts in self._parts.items():
            block = self._content[index]
            if field == "input":
                block["input"] = self._input("".join(parts), block.get("input"))
            else:
                block[field] = block.get(field, "") + "".join(parts)
        self._parts.clear()
        self._message["content"] = self._content
        return self._message

    def _begin(self, message: JsonObject) -> None:
        if self._message is not None:
            raise ValueError("a second message_start")
        self._content = list(message["content"])
        self._message = message

    def _start(self, index: int, block: JsonObject) -> None:
        if self._message is None or index != len(self._content):
            raise ValueError("a block out of its order")
        self._content.append(block)
        self._open.add(index)

    def _delta(self, index: int, delta: JsonObject) -> None:
        if index not in self._open:
            raise ValueError("a delta outside its block")
        kind = delta["type"]
        if kind == "text_delta":
            self._part(index, "text", delta["text"])
        elif kind == "input_json_delta":
            self._part(index, "input", delta["partial_json"])
        elif kind == "thinking_delta":
            self._part(index, "thinking", delta["thinking"])
        elif kind == "signature_delta":
            self._content[index]["signature"] = delta["signature"]
        elif kind == "citations_delta":
            block = self._content[index]
            block["citations"] = [*(block.get("citations") or []), delta["citation"]]
        else:
            # Leaving out what we cannot place would alter the content that has to go back unchanged.
            raise ValueError(f"a delta of the unknown type {kind!r}")

    def _part(self, index: int, field: str, text: str) -> None:
        if not isinstance(text, str):
            raise TypeError(f"{field} is not text")
        self._parts.setdefault((index, field), []).append(text)

    def _finish(self, event: JsonObject) -> None:
        if self._message is None:
            raise ValueError("message_delta before message_start")
        self._message.update(event["delta"])
        usage = {name: value for name, value in event["usage"].items() if value is not None}
        self._message["usage"] = {**self._message["usage"], **usage}

    def _input(self, text: str, initial: Json) -> Json:
        if not text:
            return initial
        try:
            return loads(text)
        except ValueError as error:
            if self._message is not None and self._message.get("stop_reason") in CUT_OFF:
                return initial
            raise BrokenStream("A tool's arguments are not JSON.") from error


def _refuse_constant(name: str) -> Json:
    raise ValueError(f"{name} is not JSON")

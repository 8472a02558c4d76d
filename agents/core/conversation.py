"""The conversation with the model: how facts become messages. Assistant content is never touched."""

import json
import re
from collections.abc import Sequence
from typing import Any, Final

from agents.core.exact import readable

Json = Any
Message = dict[str, Json]
Messages = tuple[Message, ...]

#: The stop reasons of an answer that the model has finished.
COMPLETE: Final = frozenset({"end_turn", "stop_sequence"})

_CALL_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,128}\Z")


def opening(run_input: Json, context: str | None = None) -> Messages:
    """Return the first message: what was handed over, and the run's input as canonical JSON, in labelled blocks."""
    told = text(f"Input of this run (JSON):\n{readable(run_input)}")
    return (user(told) if context is None else user(text(context), told),)


def text(words: str) -> dict[str, Json]:
    """Return a text block."""
    return {"type": "text", "text": words}


def user(*blocks: dict[str, Json]) -> Message:
    """Return a user message."""
    return {"role": "user", "content": list(blocks)}


def with_assistant(messages: Messages, content: Sequence[Json]) -> Messages:
    """Append the model's content as it came."""
    return (*messages, {"role": "assistant", "content": content})


def with_user(messages: Messages, blocks: Sequence[dict[str, Json]]) -> Messages:
    """Append blocks to the user's side: to the last message if it is the user's, else as a new one."""
    if not blocks:
        return messages
    if messages and messages[-1]["role"] == "user":
        return (*messages[:-1], user(*messages[-1]["content"], *blocks))
    return (*messages, user(*blocks))


def grown(before: Messages, after: Messages) -> int:
    """Return by how many bytes the second is longer than the first as JSON; they differ at their end alone."""
    same = min(len(before), len(after))
    while same and before[same - 1] is not after[same - 1]:
        same -= 1
    return sum(map(_bytes, after[same:])) - sum(map(_bytes, before[same:]))


def _bytes(message: Message) -> int:
    return len(json.dumps(message, ensure_ascii=False).encode(errors="replace")) + len(", ")


def tool_result(call_id: str, result: str, *, is_error: bool) -> dict[str, Json]:
    """Return the block that answers one tool_use block."""
    block: dict[str, Json] = {"type": "tool_result", "tool_use_id": call_id, "content": result}
    return block | {"is_error": True} if is_error else block


def result_text(result: Json) -> str:
    """Return a tool's result as the model reads it: text as it is, anything else as canonical JSON."""
    return result if isinstance(result, str) else readable(result)


def final_text(content: Sequence[Json]) -> str:
    """Return the text of a finished answer: its text blocks joined; other kinds of block are not output."""
    return "".join(block["text"] for block in content if block.get("type") == "text")


def answerable(uses: Sequence[dict[str, Json]]) -> bool:
    """Say whether each call has an id of its own, of the form the protocol gives: records keep it for ever."""
    ids = [use.get("id") for use in uses]
    return len(set(ids)) == len(ids) and all(isinstance(each, str) and _CALL_ID.match(each) for each in ids)


def tool_uses(content: Sequence[Json]) -> list[dict[str, Json]]:
    """Return the tool_use blocks in the model's order."""
    return [block for block in content if block.get("type") == "tool_use"]

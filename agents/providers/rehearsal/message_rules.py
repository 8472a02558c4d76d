"""What the Messages API demands of the messages. Each breach is a 400 in the API's words.

Assistant content may hold fields and block types that are not known here: it has to come back as it was sent.
"""

from collections.abc import Mapping, Sequence

from agents.core.model import Json, JsonObject
from agents.providers.rehearsal.errors import extra, invalid, missing
from agents.providers.rehearsal.rules import check_cache_control
from agents.providers.rehearsal.signatures import is_genuine, is_genuine_redacted

MAX_MESSAGES = 100_000
# Marks the ids of tool calls that were thought about: the thinking block has to come back with them.
THOUGHT_ABOUT = "toolu_01T"

_USER_FIELDS: Mapping[str, frozenset[str]] = {
    "text": frozenset({"text", "citations"}),
    "image": frozenset({"source", "transformations"}),
    "document": frozenset({"source", "title", "context", "citations"}),
    "search_result": frozenset({"source", "title", "content", "citations"}),
    "tool_result": frozenset({"tool_use_id", "content", "is_error"}),
}


def check_messages(messages: Json, *, prefill: bool) -> list[JsonObject]:
    """Check the messages; return them with neighbours of one role merged and all content as lists of blocks.

    prefill: the model accepts an assistant message at the end.
    """
    if not isinstance(messages, list):
        raise invalid("messages: Input should be a valid list")
    if not messages:
        raise invalid("messages: at least one message is required")
    if len(messages) > MAX_MESSAGES:
        raise invalid(f"messages: at most {MAX_MESSAGES} messages are allowed")
    last = len(messages) - 1
    merged: list[JsonObject] = []
    for index, message in enumerate(messages):
        role, content = _check_message(message, f"messages.{index}", final=index == last)
        if merged and merged[-1]["role"] == role:
            merged[-1]["content"] = [*merged[-1]["content"], *content]
        else:
            merged.append({"role": role, "content": content})
    if merged[0]["role"] != "user":
        raise invalid('messages: first message must use the "user" role')
    _check_tool_pairs(merged)
    _check_thinking_kept(merged)
    if merged[-1]["role"] == "assistant" and not prefill and not is_paused(merged[-1]):
        raise invalid(
            "This model does not support assistant message prefill. The conversation must end with a user message."
        )
    return merged


def is_paused(message: JsonObject) -> bool:
    """Say whether an assistant message is one that stopped with `pause_turn`: a tool of the provider's is at work."""
    return bool(message["content"]) and message["content"][-1].get("type") == "server_tool_use"


def _check_message(message: Json, path: str, *, final: bool) -> tuple[str, list[JsonObject]]:
    if not isinstance(message, dict):
        raise invalid(f"{path}: Input should be a valid dictionary")
    for name in message:
        if name not in ("role", "content"):
            raise extra(f"{path}.{name}")
    role = message.get("role")
    if role not in ("user", "assistant", "system"):
        raise invalid(f"{path}.role: Input should be 'user', 'assistant' or 'system'")
    if "content" not in message:
        raise missing(f"{path}.content")
    content = message["content"]
    if isinstance(content, str):
        content = [{"type": "text", "text": content}] if content else []
    if not isinstance(content, list):
        raise invalid(f"{path}.content: Input should be a valid list")
    if not content and not (final and role == "assistant"):
        raise invalid(
            f"{path}: all messages must have non-empty content except for the optional final assistant message"
        )
    for index, block in enumerate(content):
        _check_block(block, role, f"{path}.content.{index}")
    return role, content


def _check_block(block: Json, role: str, path: str) -> None:
    if not isinstance(block, dict) or not isinstance(block.get("type"), str):
        raise missing(f"{path}.type")
    kind = block["type"]
    if kind == "text":
        if not isinstance(block.get("text"), str):
            raise missing(f"{path}.text.text")
        if not block["text"]:
            raise invalid("messages: text content blocks must be non-empty")
    check_cache_control(block.get("cache_control"), f"{path}.{kind}.cache_control")
    if role == "assistant":
        _check_assistant_block(block, kind, path)
    else:
        _check_user_block(block, kind, role, path)


def _check_user_block(block: JsonObject, kind: str, role: str, path: str) -> None:
    allowed = _USER_FIELDS.get(kind) if role == "user" or kind == "text" else None
    if allowed is None:
        raise invalid(f"{path}: Input tag '{kind}' found using 'type' is not allowed in a message of role '{role}'")
    for name in block:
        if name not in allowed and name not in ("type", "cache_control"):
            raise extra(f"{path}.{kind}.{name}")
    if kind != "tool_result":
        return
    if not isinstance(block.get("tool_use_id"), str):
        raise missing(f"{path}.tool_result.tool_use_id")
    content = block.get("content", "")
    if not isinstance(content, str | list):
        raise invalid(f"{path}.tool_result.content: Input should be a valid string or list")
    if not isinstance(block.get("is_error", False), bool):
        raise invalid(f"{path}.tool_result.is_error: Input should be a valid boolean")


def _check_assistant_block(block: JsonObject, kind: str, path: str) -> None:
    if kind == "tool_result":
        raise invalid(f"{path}: `tool_result` blocks can only be in `user` messages")
    if kind == "tool_use":
        for name, expected in (("id", str), ("name", str), ("input", dict)):
            if not isinstance(block.get(name), expected):
                raise missing(f"{path}.tool_use.{name}")
    elif kind == "thinking":
        for name in ("thinking", "signature"):
            if not isinstance(block.get(name), str):
                raise missing(f"{path}.thinking.{name}")
        if not is_genuine(block["thinking"], block["signature"]):
            raise invalid(f"{path}: Invalid `signature` in `thinking` block")
    elif kind == "redacted_thinking" and not is_genuine_redacted(str(block.get("data"))):
        raise invalid(f"{path}: Invalid `data` in `redacted_thinking` block")


def _check_tool_pairs(merged: Sequence[JsonObject]) -> None:
    """Every `tool_use` has exactly one `tool_result`, all in the next message, before other content."""
    seen: set[str] = set()
    for index, message in enumerate(merged):
        before = merged[index - 1]["content"] if index else []
        called = [block["id"] for block in before if block["type"] == "tool_use"]
        if message["role"] == "assistant":
            _check_ids_unique(message["content"], seen, index)
            # The end of the list is the only place where calls may still be open: that is an attempt at prefill.
            continue
        _check_results(message["content"], called, index)
    if merged[-1]["role"] == "assistant" and any(block["type"] == "tool_use" for block in merged[-1]["content"]):
        raise _unanswered(
            len(merged) - 1, [block["id"] for block in merged[-1]["content"] if block["type"] == "tool_use"]
        )


def _check_ids_unique(content: Sequence[JsonObject], seen: set[str], index: int) -> None:
    for position, block in enumerate(content):
        if block["type"] == "tool_use":
            if block["id"] in seen:
                raise invalid(f"messages.{index}.content.{position}: `tool_use` ids must be unique")
            seen.add(block["id"])


def _check_results(content: Sequence[JsonObject], called: Sequence[str], index: int) -> None:
    answered: list[str] = []
    leading = True
    for position, block in enumerate(content):
        if block["type"] != "tool_result":
            leading = False
            continue
        tool_use_id = block["tool_use_id"]
        if tool_use_id not in called:
            raise invalid(
                f"messages.{index}.content.{position}: unexpected `tool_use_id` found in `tool_result` blocks: "
                f"{tool_use_id}. Each `tool_result` block must have a corresponding `tool_use` block in the previous "
                "message."
            )
        if tool_use_id in answered:
            raise invalid(
                f"messages.{index}.content.{position}: each tool_use must have a single result. Found multiple "
                f"`tool_result` blocks with id: {tool_use_id}"
            )
        if leading:
            answered.append(tool_use_id)
    if open_calls := [each for each in called if each not in answered]:
        raise _unanswered(index - 1, open_calls)


def _unanswered(index: int, ids: Sequence[str]) -> Exception:
    return invalid(
        f"messages.{index}: `tool_use` ids were found without `tool_result` blocks immediately after: "
        f"{', '.join(ids)}. Each `tool_use` block must have a corresponding `tool_result` block in the next message."
    )


def _check_thinking_kept(merged: Sequence[JsonObject]) -> None:
    for index, message in enumerate(merged):
        kinds = [block["type"] for block in message["content"]]
        thought = any(
            block["type"] == "tool_use" and block["id"].startswith(THOUGHT_ABOUT) for block in message["content"]
        )
        if thought and "thinking" not in kinds and "redacted_thinking" not in kinds:
            raise invalid(
                f"messages.{index}.content.0.type: Expected `thinking` or `redacted_thinking`, but found "
                f"`{kinds[0]}`. When tool use follows thinking, the thinking block must be sent back unchanged."
            )

"""Turns a script's turn into a message of the Messages API. Pure: equal requests get equal answers."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from agents.core.model import Json, JsonObject
from agents.providers.rehearsal.conversation import Conversation, digest
from agents.providers.rehearsal.errors import invalid
from agents.providers.rehearsal.matching import at_path
from agents.providers.rehearsal.message_rules import THOUGHT_ABOUT
from agents.providers.rehearsal.scripts import Turn
from agents.providers.rehearsal.signatures import redacted, sign

_PLACEHOLDER = re.compile(r"\{\{\s*([^{}]+?)\s*\}\}")
_MISSING = object()
_STOP_REASON_OF = {"context_window": "model_context_window_exceeded"}


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer, yet without usage.

    cut: the last block is a tool call whose arguments end in the middle.
    """

    id: str
    model: str
    content: Sequence[JsonObject]
    stop_reason: str
    stop_sequence: str | None = None
    stop_details: Json = None
    cut: bool = False

    def message(self, usage: Mapping[str, Any]) -> JsonObject:
        """Return it as the API's message; arguments that were cut off are not there at all."""
        content = list(self.content)
        if self.cut:
            content[-1] = {**content[-1], "input": {}}
        return {
            "id": self.id,
            "type": "message",
            "role": "assistant",
            "model": self.model,
            "content": content,
            "stop_reason": self.stop_reason,
            "stop_sequence": self.stop_sequence,
            "stop_details": self.stop_details,
            "usage": usage,
        }


def compose(turn: Turn, conversation: Conversation) -> Answer:
    """Return the turn's answer. Raises `Rejected` if a placeholder has no value."""
    name = digest([conversation.exact_digest, turn.number])
    thinks = any("thinking" in block or "redacted_thinking" in block for block in turn.content)
    prefix = THOUGHT_ABOUT if thinks else "toolu_01N"
    values = _values(conversation)
    content = [
        _block(block, values, f"{prefix}{digest([name, index])[:20]}") for index, block in enumerate(turn.content)
    ]
    if conversation.is_continued:
        content.insert(0, _search_result(conversation.messages[-1]["content"][-1]))
    calls = any(block["type"] == "tool_use" for block in content)
    return Answer(
        id=f"msg_01{name[:22]}",
        model=conversation.model,
        content=content,
        stop_reason=turn.stop_reason or ("tool_use" if calls else "end_turn"),
        stop_sequence=turn.stop_sequence,
        stop_details=turn.stop_details,
    )


def stopped_early(answer: Answer, fault: JsonObject) -> Answer:
    """Return the answer as it is when the model is stopped: by a limit, a refusal or a pause."""
    kind = fault["kind"]
    stop_reason = str(_STOP_REASON_OF.get(kind, kind))
    if kind == "refusal":
        details = {
            "type": "refusal",
            "category": fault.get("category"),
            "explanation": fault.get("explanation", "This request was declined."),
        }
        return replace(answer, content=[], stop_reason=stop_reason, stop_details=details)
    if kind == "pause_turn":
        kept = [block for block in answer.content if block["type"] in ("thinking", "redacted_thinking")]
        search = {
            "type": "server_tool_use",
            "id": f"srvtoolu_01{digest(answer.id)[:20]}",
            "name": "web_search",
            "input": {"query": "rehearsal"},
        }
        return replace(answer, content=[*kept, search], stop_reason=stop_reason)
    content = list(answer.content)
    for index, block in enumerate(content):
        if block["type"] == "tool_use":
            return replace(answer, content=content[: index + 1], stop_reason=stop_reason, cut=True)
    if content and content[-1]["type"] == "text":
        text = content[-1]["text"]
        content[-1] = {**content[-1], "text": text[: max(1, len(text) // 2)]}
    return replace(answer, content=content, stop_reason=stop_reason)


def _block(block: JsonObject, values: Mapping[str, Any], tool_use_id: str) -> JsonObject:
    ((kind, body),) = block.items()
    filled = _fill(body, values)
    if kind == "text":
        return {"type": "text", "text": _as_text(filled)}
    if kind == "json":
        return {"type": "text", "text": json.dumps(filled, ensure_ascii=False)}
    if kind == "thinking":
        return {"type": "thinking", "thinking": _as_text(filled), "signature": sign(_as_text(filled))}
    if kind == "redacted_thinking":
        return {"type": "redacted_thinking", "data": redacted(_as_text(filled))}
    if kind == "tool_use":
        return {
            "type": "tool_use",
            "id": filled.get("id", tool_use_id),
            "name": filled["name"],
            "input": filled.get("input", {}),
        }
    return dict(filled)


def _search_result(search: JsonObject) -> JsonObject:
    """What the provider's own tool found while the turn was paused."""
    return {"type": "web_search_tool_result", "tool_use_id": search["id"], "content": []}


def _values(conversation: Conversation) -> Mapping[str, Callable[[], Json]]:
    """What placeholders may name, worked out only when one does."""

    def latest() -> Json:
        return {result.tool: _value(result.value, result.text) for result in conversation.results}

    def every() -> Json:
        each: dict[str, list[Json]] = {}
        for result in conversation.results:
            each.setdefault(result.tool, []).append(_value(result.value, result.text))
        return each

    return {
        "input": lambda: conversation.input,
        "result": latest,
        "results": every,
        "turn": lambda: conversation.turn,
        "model": lambda: conversation.model,
        "user": lambda: conversation.first_user_text,
        "said": lambda: conversation.last_user_text,
    }


def _value(value: Json, text: str) -> Json:
    return text if value is None else value


def _fill(template: Json, values: Mapping[str, Callable[[], Json]]) -> Json:
    """Put values in for `{{placeholders}}`: a text that is one placeholder takes on its value's type."""
    if isinstance(template, dict):
        return {key: _fill(value, values) for key, value in template.items()}
    if isinstance(template, list):
        return [_fill(value, values) for value in template]
    if not isinstance(template, str) or "{{" not in template:
        return template
    whole = _PLACEHOLDER.fullmatch(template)
    if whole:
        return _look_up(whole[1], values)
    return _PLACEHOLDER.sub(lambda match: _as_text(_look_up(match[1], values)), template)


def _look_up(path: str, values: Mapping[str, Callable[[], Json]]) -> Json:
    root, _, rest = path.partition(".")
    value = at_path(values[root](), rest, _MISSING) if root in values else _MISSING
    if value is _MISSING:
        raise invalid(f"rehearsal: nothing to put in for {{{{{path}}}}}")
    return value


def _as_text(value: Json) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)

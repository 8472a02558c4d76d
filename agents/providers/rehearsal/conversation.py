"""What a request holds, as scripts see it. Pure."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from agents.core.model import Json, JsonObject
from agents.providers.rehearsal.message_rules import is_paused


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a tool gave back: its text, and the JSON found in it (None if none)."""

    tool: str
    text: str
    value: Json
    is_error: bool


@dataclass(frozen=True)
class Conversation:
    """A checked request.

    system: the system prompt's text. messages: merged by role, content as blocks.
    """

    model: str
    system: str
    tools: tuple[str, ...]
    messages: Sequence[JsonObject]

    @classmethod
    def of(cls, body: JsonObject, messages: Sequence[JsonObject]) -> "Conversation":
        """Make one from a request's body and its merged messages."""
        system = body.get("system") or ""
        text = system if isinstance(system, str) else "\n".join(block["text"] for block in system)
        tools = tuple(str(tool.get("name")) for tool in body.get("tools") or ())
        return cls(body["model"], text, tools, messages)

    @property
    def settled(self) -> Sequence[JsonObject]:
        """The messages without a paused answer at the end, which is still to go on."""
        return self.messages[:-1] if self.messages[-1]["role"] == "assistant" else self.messages

    @property
    def turn(self) -> int:
        """Which answer is asked for: 1 is the first."""
        return 1 + len([message for message in self.settled if message["role"] == "assistant"])

    @property
    def is_continued(self) -> bool:
        """Whether the last answer had paused and is sent back to go on."""
        return bool(self.messages[-1]["role"] == "assistant") and is_paused(self.messages[-1])

    @cached_property
    def first_user_text(self) -> str:
        """The text of the first user message."""
        return _text(self.messages[0]["content"])

    @cached_property
    def last_user_text(self) -> str:
        """The text beside the tool results of the last user message."""
        return _text(self.settled[-1]["content"])

    @cached_property
    def input(self) -> Json:
        """The first JSON value in the first user message, or None."""
        return find_json(self.first_user_text)

    @cached_property
    def results(self) -> tuple[ToolResult, ...]:
        """Every tool result so far, in order."""
        names: dict[str, str] = {}
        results: list[ToolResult] = []
        for message in self.messages:
            for block in message["content"]:
                if block["type"] == "tool_use":
                    names[block["id"]] = block["name"]
                elif block["type"] == "tool_result":
                    results.append(_result(names.get(block["tool_use_id"], ""), block))
        return tuple(results)

    @cached_property
    def fresh_tools(self) -> tuple[str, ...]:
        """The tools whose results are in the last user message."""
        fresh = sum(block["type"] == "tool_result" for block in self.settled[-1]["content"])
        return tuple(result.tool for result in self.results[len(self.results) - fresh :])

    def latest(self, tool: str) -> ToolResult | None:
        """Return the latest result of a tool, or None."""
        return next((result for result in reversed(self.results) if result.tool == tool), None)

    @cached_property
    def digest(self) -> str:
        """Names this point of the conversation, the same before and after a pause."""
        return self._digest(self.settled)

    @cached_property
    def exact_digest(self) -> str:
        """Names the request: equal requests get equal answers."""
        return self._digest(self.messages)

    def _digest(self, messages: Sequence[JsonObject]) -> str:
        return digest([self.model, self.system, self.tools, messages])


def digest(value: Any) -> str:
    """Return a name for a JSON value."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def find_json(text: str) -> Json:
    """Return the first JSON object or array in a text, or the whole text as JSON, or None."""
    decoder = json.JSONDecoder()
    for start, character in enumerate(text):
        if character in "{[":
            try:
                return decoder.raw_decode(text, start)[0]
            except ValueError:
                continue
    try:
        return json.loads(text)
    except ValueError:
        return None


def _result(tool: str, block: JsonObject) -> ToolResult:
    content = block.get("content", "")
    text = content if isinstance(content, str) else _text(content)
    return ToolResult(tool, text, find_json(text), bool(block.get("is_error")))


def _text(content: Sequence[JsonObject]) -> str:
    return "\n".join(block["text"] for block in content if block.get("type") == "text")

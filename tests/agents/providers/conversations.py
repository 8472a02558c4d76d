"""Requests the tests send."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import uuid4

from agents.core.model import ModelAnswer, ModelRequest

MODEL = "claude-opus-4-7"


def ask(text: str, *, system: str = "", max_tokens: int = 2048, **others: Any) -> ModelRequest:
    """Return a request with one user message."""
    messages = [{"role": "user", "content": [{"type": "text", "text": text}]}]
    return ModelRequest(MODEL, max_tokens, system, messages, **others)


def new_text() -> str:
    """Return an input nobody sent before: faults are counted per conversation."""
    return f'{{"customer_id": "{uuid4()}"}}'


def tool(name: str) -> Mapping[str, Any]:
    """Return a tool that takes anything."""
    return {"name": name, "description": name, "input_schema": {"type": "object"}}


def continued(sent: ModelRequest, answer: ModelAnswer, results: Sequence[str] = ()) -> ModelRequest:
    """Return the next request: the answer unchanged, then the results of its tool calls in their order."""
    calls = [block["id"] for block in answer.content if block["type"] == "tool_use"]
    messages = [*sent.messages, {"role": "assistant", "content": answer.content}]
    if calls:
        blocks = [
            {"type": "tool_result", "tool_use_id": call, "content": result}
            for call, result in zip(calls, results, strict=True)
        ]
        messages.append({"role": "user", "content": blocks})
    return replace(sent, messages=messages)

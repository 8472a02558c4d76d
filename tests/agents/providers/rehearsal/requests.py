"""Raw requests to the rehearsal server, to send it what the SDK would not."""

from typing import Any

import httpx2

HEADERS = {"x-api-key": "key", "anthropic-version": "2023-06-01"}


def body(*messages: Any, **others: Any) -> dict[str, Any]:
    """Return a valid request with these messages, or with one that every test script answers."""
    return {
        "model": "claude-opus-4-7",
        "max_tokens": 1000,
        "messages": list(messages) or [user("hello")],
        "system": "always",
        **others,
    }


def user(*content: Any) -> dict[str, Any]:
    """Return a user message."""
    return {"role": "user", "content": content[0] if isinstance(content[0], str) else list(content)}


def assistant(*content: Any) -> dict[str, Any]:
    """Return an assistant message."""
    return {"role": "assistant", "content": content[0] if isinstance(content[0], str) else list(content)}


def call(call_id: str, name: str = "a") -> dict[str, Any]:
    """Return a tool call."""
    return {"type": "tool_use", "id": call_id, "name": name, "input": {}}


def result(call_id: str, text: str = "fine", **others: Any) -> dict[str, Any]:
    """Return a tool's result."""
    return {"type": "tool_result", "tool_use_id": call_id, "content": text, **others}


def text(value: str) -> dict[str, Any]:
    """Return a text block."""
    return {"type": "text", "text": value}


def post(url: str, value: Any, path: str = "/v1/messages", headers: dict[str, str] | None = None) -> httpx2.Response:
    """Send a request."""
    return httpx2.post(f"{url}{path}", json=value, headers=HEADERS if headers is None else headers, timeout=30)

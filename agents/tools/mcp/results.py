"""What a server answers to `tools/call`, as the JSON result of a tool. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from agents.tools.results import read_json

Json = Any


def result(content: Sequence[Mapping[str, Json]], structured: Json) -> Json:
    """Return structured content as it is; else one text as its JSON or as text, several as a list; null for none.

    content: blocks by the protocol's names. What is no text becomes a sentence that says what is not here.
    """
    if structured is not None:
        return structured
    told = [_told(block) for block in content]
    return told[0] if len(told) == 1 else told or None


def text(content: Sequence[Mapping[str, Json]], structured: Json) -> str:
    """Return the content as one text, for an error's message."""
    told = [str(block.get("text", "")) if block.get("type") == "text" else _note(block) for block in content]
    said = "\n".join(part for part in told if part).strip()
    return said or (str(structured) if structured is not None else "")


def _told(block: Mapping[str, Json]) -> Json:
    if block.get("type") != "text":
        return _note(block)
    words = str(block.get("text", ""))
    if words.lstrip()[:1] in ("{", "["):
        try:
            return read_json(words)
        except (ValueError, RecursionError):
            return words
    return words


def _note(block: Mapping[str, Json]) -> str:
    kind = str(block.get("type", "content"))[:40]
    inside = block.get("resource")
    held = inside if isinstance(inside, Mapping) else block
    if isinstance(held.get("text"), str):
        return str(held["text"])
    mime = str(held.get("mimeType") or "of no said type")[:100]
    return f"[The tool answered with {kind} ({mime}), which this platform does not pass on.]"

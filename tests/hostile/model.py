"""A model that obeys every instruction it reads in what tools return. Nothing else can be expected of a real one."""

import json
import re
from collections.abc import Iterator
from typing import Any, Final

from agents.core.model import ModelAnswer, ModelRequest, Usage

Json = Any

#: How an instruction stands in a text: between marks that no JSON encoder changes.
_INSTRUCTION: Final = re.compile(r"<<(.*?)>>", re.DOTALL)

#: Calls in one turn.
AT_ONCE: Final = 4


def instruction(tool: str, arguments: Json) -> str:
    """Return the text that has the model call `tool`. Half characters and all else that JSON escapes come through."""
    return f"<<{json.dumps({'name': tool, 'input': arguments}).encode().hex()}>>"


class ObedientModel:
    """Begins with `first`, then calls whatever it was told to, once each, and ends when nobody tells it anything new.

    issued: the calls that it has made so far, by name and arguments. read: all that it was sent last.
    """

    def __init__(self, first: str, arguments: Json) -> None:
        self.first = instruction(first, arguments)
        self.issued: list[tuple[str, Json]] = []
        self.read = ""
        self._obeyed: set[str] = set()

    def __call__(self, request: ModelRequest, *, timeout_s: float) -> ModelAnswer:
        self.read = f"{request.system}{request.messages}"
        told = [each for each in _told(self.first, request.messages) if each not in self._obeyed][:AT_ONCE]
        self._obeyed.update(told)
        uses = [self._use(place, json.loads(bytes.fromhex(each))) for place, each in enumerate(told)]
        if not uses:
            return ModelAnswer(request.model, "end_turn", [{"type": "text", "text": "All done."}], Usage(10, 5))
        return ModelAnswer(request.model, "tool_use", uses, Usage(10, 5))

    def _use(self, place: int, wanted: Json) -> dict[str, Json]:
        self.issued.append((wanted["name"], wanted["input"]))
        return {"type": "tool_use", "id": f"toolu_{len(self.issued)}_{place}", **wanted}


def _told(first: str, messages: Any) -> Iterator[str]:
    """Yield every instruction there is, in order, each once."""
    read = [first, *(text for message in messages if message["role"] == "user" for text in _texts(message["content"]))]
    yield from dict.fromkeys(found for text in read for found in _INSTRUCTION.findall(text))


def _texts(content: Json) -> Iterator[str]:
    if isinstance(content, str):
        yield content
    elif isinstance(content, list):
        for block in content:
            yield from _texts(block.get("text") or block.get("content") or "")

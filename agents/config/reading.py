"""Read YAML into plain JSON values, remembering the line of each; refuse what is not plain.

Built on PyYAML's events, one pass, no recursion and no object construction: tags, merge keys, duplicate keys, keys that
are no texts, anchors that refer to themselves, and aliases that blow up are refused with their line.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import yaml
from yaml import events as happened

from agents.config.errors import ConfigError, Fault
from agents.config.scalars import value_of
from agents.core.wording import pointer

Json = Any

MAX_BYTES: Final = 1024 * 1024
MAX_NODES: Final = 50_000
MAX_DEPTH: Final = 64


@dataclass(frozen=True, slots=True)
class Text:
    """One YAML document of a file. lines: JSON pointer → line (from 1)."""

    file: str
    value: Json
    lines: dict[str, int]

    def line(self, place: str) -> int:
        """Return the line of what a JSON pointer names, or of the nearest thing around it."""
        while place not in self.lines and place:
            place = place.rpartition("/")[0]
        return self.lines.get(place, 1)


@dataclass(slots=True)
class _Open:
    """A collection being read. key: the mapping's key that waits for its value. size: nodes so far."""

    value: Json
    path: tuple[Any, ...]
    anchor: str | None
    key: str | None = None
    size: int = 1


@dataclass(slots=True)
class _Reader:
    file: str
    nodes: int = 0
    stack: list[_Open] = field(default_factory=list)
    anchors: dict[str, tuple[Json, int]] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)
    root: Json = None

    def fault(self, event: Any, detail: str) -> ConfigError:
        return ConfigError(Fault(self.file, event.start_mark.line + 1, detail))

    def path(self) -> tuple[Any, ...]:
        if not self.stack:
            return ()
        top = self.stack[-1]
        return (*top.path, top.key if isinstance(top.value, dict) else len(top.value))

    def count(self, event: Any, size: int) -> None:
        self.nodes += size
        if self.nodes > MAX_NODES:
            raise self.fault(event, f"The file holds more than {MAX_NODES} values, aliases counted in full.")

    def place(self, event: Any, value: Json, size: int) -> None:
        """Put a finished value where it belongs."""
        self.count(event, size)
        if not self.stack:
            self.root = value
            return
        top = self.stack[-1]
        top.size += size
        if isinstance(top.value, list):
            top.value.append(value)
        elif top.key is None:
            self._take_key(event, top, value)
        else:
            top.value[top.key] = value
            top.key = None

    def _take_key(self, event: Any, top: _Open, key: Json) -> None:
        if not isinstance(key, str):
            raise self.fault(event, "A key must be a text; put it in quotes.")
        if key in top.value:
            raise self.fault(event, f"The key {key} stands here twice.")
        top.key = key

    def open(self, event: Any, value: Json) -> None:
        if self.stack and isinstance(self.stack[-1].value, dict) and self.stack[-1].key is None:
            raise self.fault(event, "A key must be a text; put it in quotes.")
        if len(self.stack) >= MAX_DEPTH:
            raise self.fault(event, f"This is nested more than {MAX_DEPTH} levels deep.")
        self.stack.append(_Open(value, self.mark(event), event.anchor))

    def close(self, event: Any) -> None:
        done = self.stack.pop()
        if done.anchor is not None:
            self.anchors[done.anchor] = (done.value, done.size)
        self.place(event, done.value, 1)
        if self.stack:
            self.stack[-1].size += done.size - 1

    def scalar(self, event: Any) -> None:
        is_key = bool(self.stack) and isinstance(self.stack[-1].value, dict) and self.stack[-1].key is None
        if not is_key:
            self.mark(event)
        elif event.value == "<<" and event.implicit[0]:
            raise self.fault(event, "Merge keys (<<) are not supported; write the keys out.")
        try:
            value = value_of(event.value) if event.implicit[0] else event.value
        except ValueError as error:
            raise self.fault(event, str(error)) from error
        if event.anchor is not None:
            self.anchors[event.anchor] = (value, 1)
        self.place(event, value, 1)

    def alias(self, event: Any) -> None:
        known = self.anchors.get(event.anchor)
        if known is None:
            raise self.fault(
                event, f"There is no anchor {event.anchor} before this alias, or it holds the alias itself."
            )
        self.mark(event)
        self.place(event, *known)

    def mark(self, event: Any) -> tuple[Any, ...]:
        path = self.path()
        self.lines[pointer(path)] = event.start_mark.line + 1
        return path

    def tag(self, event: Any) -> None:
        if getattr(event, "tag", None) is not None:
            raise self.fault(event, f"Tags such as {event.tag} are not supported.")


def read(text: str, file: str) -> Iterator[Text]:
    """Yield the documents of a file, empty ones left out. Raises `ConfigError` with file and line."""
    if len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise ConfigError(Fault(file, 1, f"The file is larger than {MAX_BYTES // 1024} KiB."))
    reader = _Reader(file)
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            reader.tag(event)
            if isinstance(event, happened.DocumentStartEvent):
                reader.anchors, reader.lines, reader.root = {}, {}, None
            elif isinstance(event, happened.DocumentEndEvent):
                if reader.root is not None:
                    yield Text(file, reader.root, reader.lines)
            else:
                _step(reader, event)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark is not None else 1
        words = " ".join(filter(None, (error.context, error.problem)))
        raise ConfigError(Fault(file, line, f"This is not YAML: {words}.")) from error
    except yaml.reader.ReaderError as error:
        raise ConfigError(Fault(file, 1, f"The file holds a character YAML does not allow: {error.reason}.")) from error


def _step(reader: _Reader, event: Any) -> None:
    match event:
        case happened.MappingStartEvent():
            reader.open(event, {})
        case happened.SequenceStartEvent():
            reader.open(event, [])
        case happened.MappingEndEvent() | happened.SequenceEndEvent():
            reader.close(event)
        case happened.ScalarEvent():
            reader.scalar(event)
        case happened.AliasEvent():
            reader.alias(event)

"""Scripts: what a rehearsed model says, and when. Read from YAML; docs/rehearsal.md describes the format.

The schema below is the format's definition; a file that breaks it is refused at start, with its line.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

from agents.core.model import Json, JsonObject

# Answers instead of the turn's own: error answers and broken ones …
BREAKING_FAULTS: Final = (
    "rate_limited",
    "spend_limit",
    "overloaded",
    "server_error",
    "http_status",
    "timeout",
    "stall",
    "stream_error",
    "cut_stream",
    "cut_json",
)
# … and whole answers that stop before their time.
STOPPING_FAULTS: Final = ("max_tokens", "context_window", "refusal", "pause_turn")

_TEXT: Final[JsonObject] = {
    "anyOf": [
        {"type": "string"},
        {"type": "array", "items": {"type": "string"}},
        {
            "type": "object",
            "properties": {"regex": {"type": "string", "format": "regex"}, "not": {"type": ["string", "array"]}},
            "additionalProperties": False,
            "minProperties": 1,
        },
    ]
}
_NAMES: Final[JsonObject] = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
_PATHS: Final[JsonObject] = {"type": "object"}
_COUNT: Final[JsonObject] = {"type": "integer", "minimum": 0}
_FAULT: Final[JsonObject] = {
    "type": "object",
    "required": ["kind"],
    "additionalProperties": False,
    "properties": {
        "kind": {"enum": [*BREAKING_FAULTS, *STOPPING_FAULTS]},
        "times": {"anyOf": [{"type": "integer", "minimum": 1}, {"const": "always"}]},
        "retry_after": {"type": "number", "minimum": 0},
        "retry_after_as": {"enum": ["seconds", "date", "milliseconds"]},
        "status": {"type": "integer", "minimum": 300, "maximum": 599},
        "type": {"type": "string"},
        "message": {"type": "string"},
        "error_code": {"type": "string"},
        "headers": {"type": "object", "additionalProperties": {"type": "string"}},
        "category": {"type": ["string", "null"]},
        "explanation": {"type": ["string", "null"]},
    },
    "allOf": [{"if": {"properties": {"kind": {"const": "http_status"}}}, "then": {"required": ["status", "type"]}}],
}
_TOOL_USE: Final[JsonObject] = {
    "type": "object",
    "required": ["name"],
    "additionalProperties": False,
    "properties": {"name": {"type": "string"}, "input": {"type": ["object", "string"]}, "id": {"type": "string"}},
}
_BLOCK: Final[JsonObject] = {
    "type": "object",
    "minProperties": 1,
    "maxProperties": 1,
    "additionalProperties": False,
    "properties": {
        "text": {"type": "string"},
        "json": {},
        "thinking": {"type": "string"},
        "redacted_thinking": {"type": "string"},
        "tool_use": _TOOL_USE,
        "raw": {"type": "object", "required": ["type"], "properties": {"type": {"type": "string"}}},
    },
}
_WHEN: Final[JsonObject] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "turn": {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "array", "items": {"type": "integer"}}]},
        "after": _NAMES,
        "called": _NAMES,
        "not_called": _NAMES,
        "result": {"type": "object"},
        "input": _PATHS,
        "said": _TEXT,
    },
}
SCHEMA: Final[JsonObject] = {
    "type": "object",
    "required": ["script", "match", "turns"],
    "additionalProperties": False,
    "properties": {
        "script": {"type": "string", "minLength": 1},
        "description": {"type": "string"},
        "priority": {"type": "integer"},
        "match": {
            "type": "object",
            "additionalProperties": False,
            "properties": {"system": _TEXT, "user": _TEXT, "model": _TEXT, "tools": _NAMES, "input": _PATHS},
        },
        "turns": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["content"],
                "additionalProperties": False,
                "properties": {
                    "when": _WHEN,
                    "content": {"type": "array", "items": _BLOCK},
                    "stop_reason": {"type": "string"},
                    "stop_sequence": {"type": "string"},
                    "stop_details": {"type": "object"},
                    "delay_ms": {"type": "number", "minimum": 0},
                    "usage": {"type": "object", "additionalProperties": _COUNT},
                    "fault": {"anyOf": [_FAULT, {"type": "array", "items": _FAULT}]},
                },
            },
        },
    },
}
_VALIDATOR: Final = Draft202012Validator(SCHEMA, format_checker=Draft202012Validator.FORMAT_CHECKER)


class BadScript(Exception):
    """A script file cannot be used; the message begins with file and line."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One answer of a script. number: its place, from 1. when: its condition; None means "at my place"."""

    number: int
    when: Mapping[str, Json] | None
    content: Sequence[JsonObject]
    faults: Sequence[JsonObject]
    stop_reason: str | None
    stop_sequence: str | None
    stop_details: Json
    delay_ms: float
    usage: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Script:
    """A rehearsed model: what it answers to, and its answers. where: file and line, for messages."""

    name: str
    where: str
    priority: int
    match: Mapping[str, Json]
    turns: Sequence[Turn]


def load(folders: Iterable[Path]) -> list[Script]:
    """Read every `.yaml` and `.yml` below the folders (or the files named), by priority, then by file name.

    Raises `BadScript`.
    """
    scripts: list[Script] = []
    places: dict[str, str] = {}
    for path in _files(folders):
        for script in _read(path):
            if script.name in places:
                raise BadScript(f"{script.where}: the script {script.name!r} is already at {places[script.name]}")
            places[script.name] = script.where
            scripts.append(script)
    return sorted(scripts, key=lambda script: -script.priority)


def _files(folders: Iterable[Path]) -> list[Path]:
    files: list[Path] = []
    for folder in folders:
        if folder.is_file():
            files.append(folder)
        elif folder.is_dir():
            files += sorted(path for path in folder.rglob("*") if path.suffix in (".yaml", ".yml"))
        else:
            raise BadScript(f"{folder}: no such folder or file")
    return files


def _read(path: Path) -> list[Script]:
    loader = _Loader(path.read_text(encoding="utf-8"))
    scripts: list[Script] = []
    try:
        while loader.check_node():
            node = loader.get_node()
            document = None if node is None else loader.construct_document(node)
            if node is not None and document is not None:
                scripts.append(_script(document, node, path))
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise BadScript(f"{path}:{line}: {error.problem}") from error
    except yaml.YAMLError as error:
        raise BadScript(f"{path}:1: {error}") from error
    finally:
        loader.dispose()
    return scripts


def _script(document: Json, node: yaml.Node, path: Path) -> Script:
    error = best_match(_VALIDATOR.iter_errors(document))
    if error is not None:
        place = "/".join(str(part) for part in error.absolute_path) or "the script"
        raise BadScript(f"{path}:{_line(node, error.absolute_path)}: {place}: {error.message}")
    return Script(
        name=document["script"],
        where=f"{path}:{node.start_mark.line + 1}",
        priority=document.get("priority", 0),
        match=document["match"],
        turns=tuple(_turn(number, turn) for number, turn in enumerate(document["turns"], start=1)),
    )


def _turn(number: int, turn: JsonObject) -> Turn:
    faults = turn.get("fault", [])
    return Turn(
        number=number,
        when=turn.get("when"),
        content=turn["content"],
        faults=faults if isinstance(faults, list) else [faults],
        stop_reason=turn.get("stop_reason"),
        stop_sequence=turn.get("stop_sequence"),
        stop_details=turn.get("stop_details"),
        delay_ms=turn.get("delay_ms", 0),
        usage=turn.get("usage", {}),
    )


def _line(node: yaml.Node, path: Iterable[str | int]) -> int:
    """Return the line of the deepest node on a path, from 1."""
    line = node.start_mark.line
    for part in path:
        if isinstance(node, yaml.MappingNode):
            found = next(((key, value) for key, value in node.value if key.value == str(part)), None)
            if found is None:
                break
            line, node = found[0].start_mark.line, found[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int):
            node = node.value[part]
            line = node.start_mark.line
    return int(line) + 1


class _Loader(yaml.SafeLoader):
    """YAML as JSON: dates stay text, a key given twice is refused."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - as the base class declares it
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"{key.value!r} is given twice", key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep=deep)

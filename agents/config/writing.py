"""Write documents as YAML that reads back as the same."""

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

import yaml

from agents.config.scalars import is_text

Json = Any

API_VERSION = "countersign/v1"


_STR = "tag:yaml.org,2002:str"
_OLD: Any = yaml.SafeLoader("")


class _Dumper(yaml.SafeDumper):
    """Keeps the order of keys, repeats instead of aliasing, quotes exactly what the reader would take for no text."""

    yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {}  # type: ignore[misc]

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = None
    lines = value.split("\n")
    if not all(map(str.isprintable, lines)) or not is_text(value) or not _is_text_elsewhere(value):
        style = '"'
    elif len(lines) > 1 and not any(line.endswith(" ") for line in lines):
        style = "|"
    return dumper.represent_scalar(_STR, value, style=style)


def _is_text_elsewhere(value: str) -> bool:
    """Say whether readers of YAML 1.1 take the plain characters for a text too."""
    tag: str = _OLD.resolve(yaml.ScalarNode, value, (True, False))
    return tag == _STR


def _plain(write: Callable[[Any], str], dumper: yaml.SafeDumper, value: Any) -> yaml.ScalarNode:
    # With no implicit resolvers only the tag of texts is left unwritten.
    return dumper.represent_scalar(_STR, write(value))


_Dumper.add_representer(str, _text)
_Dumper.add_representer(int, partial(_plain, str))
_Dumper.add_representer(float, partial(_plain, repr))
_Dumper.add_representer(bool, partial(_plain, lambda value: "true" if value else "false"))
_Dumper.add_representer(type(None), partial(_plain, lambda value: "null"))


def document(kind: str, name: str, spec: Json) -> dict[str, Json]:
    """Return the whole document."""
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name}, "spec": spec}


def written(value: Json) -> str:
    """Return the YAML of one document."""
    text: str = yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)
    return text

"""What an MCP server says of its tools: hashed as it said it, kept clean and within bounds. Pure.

All of it is data of somebody else: what it says reaches a page or a model only through `clean`.
"""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from agents.tools.results import MAX_DEPTH, mapped
from audit.canonical import NotCanonical, canonical

Json = Any

HASHED: Final = ("name", "description", "inputSchema", "outputSchema", "annotations")
"""What a definition's hash covers, by the names of the protocol; what the server left out is left out."""
MAX_TOOLS: Final = 500
MAX_NAME_CHARS: Final = 128
MAX_DESCRIPTION_CHARS: Final = 4000
MAX_SCHEMA_CHARS: Final = 64 * 1024
_CONTROL: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Definition:
    """A tool as its server defines it. name: as the server spells it, to be sent back; sha256: hex, over `HASHED`;
    where those have no canonical form, a mark that tells it from others.

    description, input_schema, output_schema, annotations: clean, and cut to the bounds. fault: why it cannot be
    called, in words; "" when it can.
    """

    name: str
    sha256: str
    description: str = ""
    input_schema: Mapping[str, Json] | None = None
    output_schema: Json = None
    annotations: Mapping[str, Json] | None = None
    fault: str = ""

    def document(self) -> dict[str, Json]:
        """Return it as JSON, as it is kept and shown."""
        shown = {name: getattr(self, name) for name in self.__slots__}
        return {name: value for name, value in shown.items() if value not in (None, "")}


def definition(said: Mapping[str, Json]) -> Definition:
    """Return the definition that a server's `tools/list` holds. said: one tool, by the protocol's names."""
    name = str(said.get("name", ""))
    try:
        text = canonical({key: said[key] for key in HASHED if said.get(key) is not None})
    except (NotCanonical, RecursionError) as error:
        fault = f"The definition is not JSON of the plain kind: {error}"
        return Definition(clean(name, MAX_NAME_CHARS), _mark(said), fault=fault)
    sha256 = hashlib.sha256(text.encode()).hexdigest()
    schemas = [said.get("inputSchema"), said.get("outputSchema"), said.get("annotations")]
    fault = ""
    if not name.isprintable() or clean(name, MAX_NAME_CHARS) != name or not name:
        fault = f"Its name is empty, longer than {MAX_NAME_CHARS} characters or holds characters that nobody sees."
    elif any(depth(schema) > MAX_DEPTH // 4 or len(canonical(schema)) > MAX_SCHEMA_CHARS for schema in schemas):
        fault = f"Its schemas are larger than {MAX_SCHEMA_CHARS} characters or nested too deeply."
    elif not isinstance(schemas[0], Mapping):
        fault = "Its inputSchema is no mapping."
    if fault:
        return Definition(clean(name, MAX_NAME_CHARS), sha256, fault=fault)
    kept = [mapped(schema, without_control) for schema in schemas]
    return Definition(name, sha256, clean(str(said.get("description") or ""), MAX_DESCRIPTION_CHARS), *kept)


def told_apart(listed: Sequence[Definition]) -> list[Definition]:
    """Return the definitions; of those that share a name none can be used, as nobody knows which one a call is for."""
    many = Counter(each.name for each in listed)
    fault = "The server lists several tools of this name."
    return [each if many[each.name] == 1 or each.fault else replace(each, fault=fault) for each in listed]


def _mark(said: Mapping[str, Json]) -> str:
    """Return what tells a definition that has no canonical form from others, as far as it can be written at all."""
    try:
        text = json.dumps({key: said.get(key) for key in HASHED}, sort_keys=True)
    except (TypeError, ValueError, RecursionError):
        text = ""
    return hashlib.sha256(b"not canonical\n" + text.encode()).hexdigest()


def clean(text: str, longest: int) -> str:
    """Return a server's words without control and invisible characters, at most `longest` characters of them."""
    kept = without_control(text[: longest * 2])
    whole = len(kept) <= longest and len(text) <= longest * 2
    return kept if whole else kept[: longest - 1] + "…"


def without_control(text: str) -> str:
    """Return the text without the characters that change how others are read, or that nobody sees."""
    return _CONTROL.sub("", text)


def depth(value: Json) -> int:
    """Return how many levels of lists and mappings there are, without recursion."""
    level, levels = [value], 0
    while level := [each for each in level if isinstance(each, (dict, list))]:
        levels += 1
        level = [item for each in level for item in (each.values() if isinstance(each, dict) else each)]
    return levels

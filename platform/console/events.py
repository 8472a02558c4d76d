"""An event of a run's journal as the console shows it: its data, with or without what concerns people."""

import json
from collections.abc import Mapping
from typing import Any

from agents.presenters import payload_json
from audit.journal import Stored

Json = Any


def data_of(stored: Stored, *, payloads: bool) -> dict[str, Json]:
    """Return facts and, if `payloads`, what can be erased; empty of the latter once it was."""
    erasable = stored.payload if payloads and isinstance(stored.payload, Mapping) else {}
    return {**stored.facts, **payload_json(erasable)}


def pretty(value: Json) -> str:
    """Return JSON for people to read."""
    return json.dumps(value, indent=2, ensure_ascii=False)

"""Keep JSON exact through the journal.

Canonical form (RFC 8785) rewrites 1.0 to 1 and refuses integers beyond 2^53 - 1. What a model said must go back to it
unchanged, so a value that canonical form would alter is kept as its own JSON text instead.
"""

import json
from typing import Any

from audit.canonical import is_plain

Json = Any

_MARK = "json"


def enclose(value: Json) -> Json:
    """Return `value` itself when canonical form keeps it exactly, else `{"json": text}`."""
    if is_plain(value) and not (isinstance(value, dict) and value.keys() == {_MARK}):
        return value
    return {_MARK: json.dumps(value, ensure_ascii=False, separators=(",", ":"))}


def disclose(enclosed: Json) -> Json:
    """Return what `enclose` was given."""
    if isinstance(enclosed, dict) and enclosed.keys() == {_MARK}:
        return json.loads(enclosed[_MARK])
    return enclosed

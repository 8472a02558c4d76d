"""Keep JSON exact through the journal.

Canonical form (RFC 8785) sorts keys, rewrites 1.0 to 1, and refuses integers beyond 2^53 - 1 and halves of surrogate
pairs. What a model said must go back to it as it came, so it is kept as its own JSON text (`verbatim`). Arguments,
results and outputs, where the order of keys says nothing, are kept as they are unless canonical form would alter them
otherwise (`enclose`).
"""

import json
import math
from typing import Any

from audit.canonical import NotCanonical, canonical, is_plain

Json = Any

_MARK = "json"


def verbatim(value: Json) -> dict[str, str]:
    """Return `{"json": text}`, whatever the value."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    try:
        text.encode()
    except UnicodeEncodeError:
        text = json.dumps(value, separators=(",", ":"))
    return {_MARK: text}


def enclose(value: Json) -> Json:
    """Return `value` itself when canonical form keeps it, key order apart, else the same as `verbatim`."""
    if is_plain(value) and not (isinstance(value, dict) and value.keys() == {_MARK}):
        return value
    return verbatim(value)


def enclosed_text(text: str) -> dict[str, str]:
    """Return what `verbatim` returns of the value that `text` is the JSON of."""
    return {_MARK: text}


def disclose(enclosed: Json) -> Json:
    """Return what `verbatim` or `enclose` was given."""
    if isinstance(enclosed, dict) and enclosed.keys() == {_MARK}:
        return json.loads(enclosed[_MARK])
    return enclosed


def is_interoperable(value: Json) -> bool:
    """Say whether every JSON reader gets the value alike: safe numbers, whole characters, bounded nesting."""
    return interoperable(value) is not None


def interoperable(value: Json) -> str | None:
    """Return the canonical text of a value that is so; None of any other."""
    try:
        return canonical(value)
    except NotCanonical:
        return None


def readable(value: Json) -> str:
    """Return the value as JSON text for the model: canonical where it has such a form, else as it stands."""
    text = interoperable(value)
    return text if text is not None else verbatim(value)["json"]


def scrubbed(value: Json) -> Json:
    """Return the value with what no JSON can carry replaced: half characters by U+FFFD, NaN and infinities by words."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {scrubbed(key): scrubbed(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [scrubbed(item) for item in value]
    return value

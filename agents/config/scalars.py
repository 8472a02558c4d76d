"""What a plain YAML scalar means: the core schema of YAML 1.2 (section 10.3.2), for reading and writing alike.

PyYAML follows YAML 1.1, where `no` is false, `12:30` is 750 and `2026-01-01` is a date. Documents are JSON in YAML's
clothes, so only what JSON has is recognised; everything else is a text.
"""

import re
from typing import Any, Final

NULL: Final = re.compile(r"~|null|Null|NULL|")
BOOL: Final = re.compile(r"true|True|TRUE|false|False|FALSE")
INT: Final = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
NOT_JSON: Final = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")

_MAX_DIGITS: Final = 40


def value_of(text: str) -> Any:
    """Return the JSON value of a plain scalar. Raises ValueError for a number JSON has not, or too long."""
    if NULL.fullmatch(text):
        return None
    if BOOL.fullmatch(text):
        return text.lower() == "true"
    if NOT_JSON.fullmatch(text):
        raise ValueError(f"{text} is not a number JSON has.")
    is_int = INT.fullmatch(text)
    if not is_int and not FLOAT.fullmatch(text):
        return text
    if len(text) > _MAX_DIGITS:
        raise ValueError("The number is too long; put it in quotes to make it a text.")
    if not is_int:
        return float(text)
    return int(text, 0) if text.startswith(("0o", "0x")) else int(text)


def is_text(text: str) -> bool:
    """Say whether a plain scalar of these characters would be read as a text."""
    return not any(pattern.fullmatch(text) for pattern in (NULL, BOOL, INT, FLOAT, NOT_JSON))

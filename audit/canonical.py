"""Canonical JSON (RFC 8785) and salted commitments. Pure: standard library only.

The fast path is the C encoder with sorted keys, which is canonical as long as the value holds no floats, no integers
beyond 2^53 - 1 and no keys with characters from U+D800 on; everything else takes the exact path.
"""

import hashlib
import json
import math
from typing import Any

Json = Any

#: RFC 7493 (I-JSON) section 2.2: integers that every reader gets right.
MAX_SAFE_INTEGER = 2**53 - 1

_encode_fast = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False).encode
_encode_string = json.JSONEncoder(ensure_ascii=False).encode


class NotCanonical(ValueError):
    """The value has no canonical JSON form."""


def canonical(value: Json) -> str:
    """Return the RFC 8785 form of a JSON value.

    value: dict (string keys), list, tuple (written as a list), str, int, float, bool or None, nested.
    Raises `NotCanonical` for NaN, infinities, integers beyond ±(2^53 - 1) unless a double is written so, lone
    surrogates, other types (subclasses too: an enumeration's member is not the text it looks like), and for what nests
    deeper than Python's stack.
    """
    try:
        if is_plain(value):
            return _encode_fast(value)
        text = "".join(_exact(value))
    except RecursionError as error:
        raise NotCanonical("The value is nested too deeply, or contains itself.") from error
    if not _has_utf8(text):
        raise NotCanonical("A string holds half of a surrogate pair.")
    return text


def is_plain(value: Json) -> bool:
    """Say whether the value survives canonical form and back exactly: no floats, unsafe integers or lone surrogates.

    A tuple counts as the list it is written as. False is also said of some values that would survive. May raise
    `NotCanonical` for what JSON cannot hold at all.
    """
    kind = type(value)
    if kind is str:
        return value.isascii() or _has_utf8(value)
    if value is None or kind is bool:
        return True
    if kind is int:
        return bool(-MAX_SAFE_INTEGER <= value <= MAX_SAFE_INTEGER)
    if kind is dict:
        for key, item in value.items():
            # Above the surrogates, order by code points (the fast path's) is not order by UTF-16 units (the RFC's).
            if type(key) is not str or not (key.isascii() or max(key) < "\ud800"):
                return False
            if not (type(item) is str and item.isascii()) and not is_plain(item):
                return False
        return True
    if kind is list or kind is tuple:
        return all(map(is_plain, value))
    if kind is float:
        return False
    raise NotCanonical(f"{kind.__name__} is not a JSON type.")


def _has_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _exact(value: Json) -> list[str]:
    kind = type(value)
    if kind is dict:
        out = ["{"]
        for key in sorted(value, key=_utf16):
            out += [",", _encode_string(key), ":", *_exact(value[key])]
        return [*out[:1], *out[2:], "}"]
    if kind is list or kind is tuple:
        out = ["["]
        for item in value:
            out += [",", *_exact(item)]
        return [*out[:1], *out[2:], "]"]
    if kind is float:
        return [number(value)]
    if kind is int and abs(value) > MAX_SAFE_INTEGER:
        return [_large_integer(value)]
    if value is None or kind in (str, bool, int):
        return [_encode_string(value)]
    raise NotCanonical(f"{kind.__name__} is not a JSON type.")


def _large_integer(value: int) -> str:
    """Return an integer that is how a double is written (1e20 is read back as one); others lose digits elsewhere."""
    text = number(float(value)) if abs(value) < 10**21 else ""
    if not text or text != str(value):
        raise NotCanonical("An integer has more digits than a double keeps; write it as a string.")
    return text


def _utf16(key: Any) -> bytes:
    if type(key) is not str:
        raise NotCanonical("Object keys must be strings.")
    try:
        return key.encode("utf-16-be")
    except UnicodeEncodeError as error:
        raise NotCanonical("A key holds half of a surrogate pair.") from error


def number(value: float) -> str:
    """Return a double as ECMAScript prints it (ECMA-262, Number::toString; RFC 8785 section 3.2.2.3)."""
    if not math.isfinite(value):
        raise NotCanonical("NaN and infinities are not JSON.")
    if value == 0:
        return "0"
    sign, digits, point = _shortest(value)
    if len(digits) <= point <= 21:
        text = digits + "0" * (point - len(digits))
    elif 0 < point <= 21:
        text = digits[:point] + "." + digits[point:]
    elif -6 < point <= 0:
        text = "0." + "0" * -point + digits
    else:
        exponent = point - 1
        mantissa = digits[0] + ("." + digits[1:] if len(digits) > 1 else "")
        text = f"{mantissa}e{'+' if exponent > 0 else '-'}{abs(exponent)}"
    return sign + text


def _shortest(value: float) -> tuple[str, str, int]:
    """Return sign, shortest round-trip digits, and where the decimal point stands after their start."""
    mantissa, _, exponent = f"{value!r}".lower().partition("e")
    sign = "-" if mantissa.startswith("-") else ""
    whole, _, fraction = mantissa.lstrip("-").partition(".")
    digits = whole + fraction
    point = len(whole) + int(exponent or 0)
    stripped = digits.lstrip("0")
    point -= len(digits) - len(stripped)
    return sign, stripped.rstrip("0"), point


def commitment(salt: bytes, text: str) -> bytes:
    """Return SHA-256(salt ‖ canonical text), 32 bytes. The salt (16 random bytes or more) hides guessable values."""
    return hashlib.sha256(salt + text.encode()).digest()

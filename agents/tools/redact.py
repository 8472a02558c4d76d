"""Secrets that a call was given, taken out again of whatever it says. Pure."""

import base64
import json
import re
from collections.abc import Iterable
from urllib.parse import quote, quote_plus

MASK = "[redacted]"
#: Shorter values are left alone: masking them would destroy ordinary text. The vault should not take them.
MIN_CHARS = 4
_MIN_ENCODED = 6


def pattern(secrets: Iterable[str]) -> re.Pattern[str] | None:
    """Return a pattern that finds the secrets, also percent-encoded, in base64 and hexadecimal, and inside JSON texts.

    None when there is nothing to find.
    """
    forms = {form for secret in secrets for form in _forms(secret)}
    if not forms:
        return None
    return re.compile("|".join(re.escape(form) for form in sorted(forms, key=len, reverse=True)))


def _forms(secret: str) -> set[str]:
    forms = set()
    for plain in {secret, secret.strip()}:
        if len(plain) < MIN_CHARS:
            continue
        data = plain.encode("utf-8", "surrogatepass")
        percent = {quote(data, safe=""), quote(data), quote_plus(data)}
        forms |= {plain, json.dumps(plain)[1:-1], json.dumps(plain, ensure_ascii=False)[1:-1]} | percent
        forms |= {re.sub("%[0-9A-F]{2}", lambda part: part[0].lower(), form) for form in percent}
        forms |= {form for form in _encoded(data) if len(form) >= _MIN_ENCODED}
    return forms


def _encoded(data: bytes) -> set[str]:
    forms = {data.hex(), data.hex().upper()}
    for before in range(3):
        # Where `data` stands inside a longer base64 text decides its digits: of each of the three positions, those
        # digits that depend on nothing but `data`.
        first = -(-before * 8 // 6)
        last = (before + len(data)) * 8 // 6
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            forms.add(encode(bytes(before) + data + bytes(3)).decode()[first:last])
    return forms

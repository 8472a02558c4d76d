"""Signatures of Standard Webhooks (standard-webhooks.com, specification 1.0, symmetric `v1`). Pure."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from typing import Final

from webhooks.errors import BadSecret

PREFIX: Final = "whsec_"

#: Bytes of a secret, as the specification bounds them.
LEAST, MOST = 24, 64


def written(key: bytes) -> str:
    """Return a secret as people copy it."""
    return PREFIX + base64.b64encode(key).decode()


def read(text: str) -> list[bytes]:
    """Return the keys that a secret holds: one, or two with a space between; raises `BadSecret`."""
    found = [_read_one(each) for each in text.split()]
    if not 1 <= len(found) <= 2:
        raise BadSecret
    return found


def _read_one(text: str) -> bytes:
    try:
        key = base64.b64decode(text.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadSecret from error
    if not text.startswith(PREFIX) or not LEAST <= len(key) <= MOST:
        raise BadSecret
    return key


def headers(keys: Sequence[bytes], *, id: str, at_s: int, body: bytes) -> dict[str, str]:  # noqa: A002 - the field's name
    """Return the headers of a message. keys: each signs it; at_s: seconds since 1970 of this attempt."""
    signed = f"{id}.{at_s}.".encode() + body
    signatures = [base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode() for key in keys]
    return {
        "webhook-id": id,
        "webhook-timestamp": str(at_s),
        "webhook-signature": " ".join(f"v1,{each}" for each in signatures),
    }

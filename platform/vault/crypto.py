"""Encryption of secrets at rest. Pure.

AES-256-GCM (NIST SP 800-38D) with a random 96-bit nonce per value. A sealed value reads `v1.KEY.DATA`: the id of the
key that sealed it and base64url of nonce and ciphertext. Tenant, name and key are authenticated with it, so that a
row copied to another tenant or name does not open.
"""

import base64
import binascii
import hashlib
import os
from collections.abc import Sequence
from typing import ClassVar
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from vault.errors import VaultError

KEY_BYTES = 32
_NONCE_BYTES = 12
_VERSION = "v1"


class BadFieldKey(VaultError):
    """FIELD_KEYS must hold at least one key, each 32 bytes in base64url, newest first."""

    code: ClassVar[str] = "bad_field_key"
    status: ClassVar[int] = 500


class SealBroken(VaultError):
    """The secret cannot be opened: it was changed, or belongs to another tenant or name."""

    code: ClassVar[str] = "seal_broken"
    status: ClassVar[int] = 500


class KeyMissing(VaultError):
    """The secret was sealed with a key that is no longer in FIELD_KEYS: put that key back, after the others."""

    code: ClassVar[str] = "field_key_missing"
    status: ClassVar[int] = 500


class Keyring:
    """The keys of FIELD_KEYS. The first seals; all of them open.

    keys: 32 bytes each, newest first. Raises BadFieldKey.
    """

    def __init__(self, keys: Sequence[bytes]) -> None:
        if not keys or any(len(key) != KEY_BYTES for key in keys):
            raise BadFieldKey
        self._ciphers = {key_id(key): AESGCM(key) for key in keys}
        self._newest = key_id(keys[0])

    @property
    def ids(self) -> tuple[str, ...]:
        """The public names of the keys, newest first."""
        return tuple(self._ciphers)

    def __repr__(self) -> str:
        return f"Keyring({', '.join(self._ciphers)})"

    def seal(self, secret: str, *, tenant_id: UUID, name: str) -> str:
        """Return `secret` encrypted for this tenant and name with the newest key; ASCII, never twice the same."""
        nonce = os.urandom(_NONCE_BYTES)
        bound = _bound(tenant_id, name, self._newest)
        data = nonce + self._ciphers[self._newest].encrypt(nonce, secret.encode("utf-8", "surrogatepass"), bound)
        return f"{_VERSION}.{self._newest}.{base64.urlsafe_b64encode(data).decode().rstrip('=')}"

    def open(self, sealed: str, *, tenant_id: UUID, name: str) -> str:
        """Return what was sealed for this tenant and name. Raises SealBroken or KeyMissing."""
        key, data = _parts(sealed)
        cipher = self._ciphers.get(key)
        if cipher is None:
            raise KeyMissing
        try:
            plain = cipher.decrypt(data[:_NONCE_BYTES], data[_NONCE_BYTES:], _bound(tenant_id, name, key))
        except (InvalidTag, ValueError):
            raise SealBroken from None
        return plain.decode("utf-8", "surrogatepass")


def key_id(key: bytes) -> str:
    """The public name of a key: eight hexadecimal digits that say nothing about it."""
    return hashlib.sha256(b"countersign/field-key/v1\0" + key).hexdigest()[:8]


def sealed_with(sealed: str) -> str | None:
    """The public name of the key that sealed a value; None if it is not a sealed value."""
    try:
        return _parts(sealed)[0]
    except SealBroken:
        return None


def _parts(sealed: str) -> tuple[str, bytes]:
    version, _, rest = sealed.partition(".")
    key, dot, text = rest.partition(".")
    if version != _VERSION or not dot:
        raise SealBroken
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise SealBroken from None
    if len(data) < _NONCE_BYTES:
        raise SealBroken
    return key, data


def _bound(tenant_id: UUID, name: str, key: str) -> bytes:
    # The fixed lengths of id and key keep the three parts apart.
    return b"countersign/secret/v1\0" + tenant_id.bytes + key.encode("ascii") + name.encode("utf-8", "surrogatepass")

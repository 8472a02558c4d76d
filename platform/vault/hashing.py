"""Keyed hashes, by which a tenant's values are found again where they are not kept.

HMAC-SHA256 (RFC 2104) with a key of the tenant's own, which the vault keeps. Without the key nobody can try guesses at
what was hashed, and the same value of two tenants has two hashes. A key is never forgotten: after `renew` new values
are hashed with the new one, and what was hashed before is found by its own, until whoever keeps the hashes has made
them anew.
"""

import hashlib
import hmac
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from django.db import connection, transaction

from db.pool import Connection
from db.scope import current_tenant_id
from vault.holders import Holder
from vault.models import HashKey
from vault.ring import keyring

KEY_BYTES: Final = 32

_NEWEST: Final = "SELECT number, sealed FROM vault_hashkey WHERE tenant_id = %s ORDER BY number DESC LIMIT 1"


@dataclass(frozen=True, slots=True)
class Key:
    """number: counts a tenant's keys from 1."""

    number: int
    secret: bytes

    def digest(self, purpose: str, value: str) -> str:
        """Return the hex HMAC of a value. purpose: keeps hashes of different kinds apart."""
        return hmac.new(self.secret, f"{purpose}\0{value}".encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()

    def __repr__(self) -> str:
        return f"Key({self.number})"


_kept: Final[dict[UUID, Key]] = {}
_lock: Final = threading.Lock()


def newest() -> Key:
    """Return the key that hashes for the tenant in scope; the first is made when it is asked for.

    Kept by the process once it is surely in the database, so it costs nothing from the second time on.
    """
    tenant_id = current_tenant_id()
    key = _kept.get(tenant_id)
    if key is None:
        key = (_all() or [_made(tenant_id, 1)])[0]
        _keep(tenant_id, key)
    return key


def newest_over(raw: Connection, tenant_id: UUID) -> Key | None:
    """Return the same over a connection of the engine's, in the tenant's scope; None when there is none yet."""
    key = _kept.get(tenant_id)
    if key is None:
        row = raw.execute(_NEWEST, [tenant_id]).fetchone()
        if row is None:
            return None
        key = Key(row[0], _opened(tenant_id, *row))
        with _lock:
            _kept[tenant_id] = key
    return key


def all_keys() -> Sequence[Key]:
    """Return all keys of the tenant in scope, newest first: what was hashed may be by any of them."""
    return _all() or [newest()]


def renew() -> Key:
    """Make a new key for the tenant in scope, which hashes from now on; other processes use theirs until they end."""
    tenant_id = current_tenant_id()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('countersign.hash_key'), hashtext(%s))", [str(tenant_id)])
    before = _all()
    key = _made(tenant_id, before[0].number + 1 if before else 1)
    with _lock:
        _kept.pop(tenant_id, None)
    _keep(tenant_id, key)
    return key


def _all() -> list[Key]:
    rows = HashKey.objects.order_by("-number").values_list("number", "sealed")
    return [Key(number, _opened(current_tenant_id(), number, sealed)) for number, sealed in rows]


def _keep(tenant_id: UUID, key: Key) -> None:
    """Keep it when this transaction is committed: what is rolled back must not hash."""

    def keep() -> None:
        with _lock:
            _kept[tenant_id] = key

    transaction.on_commit(keep)


def _made(tenant_id: UUID, number: int) -> Key:
    sealed = keyring().seal(os.urandom(KEY_BYTES).hex(), tenant_id=tenant_id, name=_name(number))
    # Two that make it at once: the second waits here, and finds the first one's.
    HashKey.objects.bulk_create([HashKey(number=number, sealed=sealed)], ignore_conflicts=True)
    found = HashKey.objects.get(number=number)
    return Key(number, _opened(tenant_id, number, found.sealed))


def _opened(tenant_id: UUID, number: int, sealed: str) -> bytes:
    return bytes.fromhex(keyring().open(sealed, tenant_id=tenant_id, name=_name(number)))


def _name(number: int) -> str:
    # A colon cannot stand in a secret's name, so none of the vault's opens as this one.
    return f"hash:{number}"


def _write(row: HashKey, sealed: str) -> None:
    row.sealed = sealed
    row.save(update_fields=["sealed"])


#: What `secret rotate` goes through here: the seal is made anew, the key stays what it is.
HOLDER: Final = Holder(
    "hash keys",
    rows=lambda: HashKey.objects.all(),
    read=lambda row: row.sealed,
    write=_write,
    bound=lambda row: (row.tenant_id, _name(row.number)),
)

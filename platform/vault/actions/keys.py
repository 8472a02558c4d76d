"""The keys that secrets are sealed with: which are needed, and how an old one becomes superfluous.

To rotate: put the new key behind the old one in FIELD_KEYS and restart everything, so that every process can open what
another seals; put it first and restart again; `rotate`; then the old key may go. A process that still seals with an old
key meanwhile notes it anew (`vault.ring`), so that nobody is told of a key that is needed that it may go.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import connection

from audit import journal
from db.scope import PLATFORM, tenant_scope
from tenants.models import Tenant
from vault.crypto import sealed_with
from vault.errors import FieldKeyPresent, FieldKeysLost, UnknownFieldKey, VaultError
from vault.holders import HOLDERS, Holder
from vault.models import FieldKey
from vault.ring import keyring

BATCH = 200


@dataclass(frozen=True, slots=True)
class Rotated:
    """What rotating did.

    resealed: values sealed anew. unreadable: values left as they are, since no key opens them. retired: the keys, by
    their public names, that nothing needs any more; needed: those older than the newest that something still needs.
    """

    resealed: int
    unreadable: int
    retired: tuple[str, ...]
    needed: tuple[str, ...]


def lost() -> list[str]:
    """Return the keys that something is sealed with and FIELD_KEYS lacks, by their public names."""
    return [key for key in _noted() if key not in keyring().ids]


def outdated() -> list[str]:
    """Return the keys of FIELD_KEYS behind the first that something is sealed with."""
    return [key for key in _noted() if key in keyring().ids[1:]]


def refuse_lost() -> None:
    """Raise `FieldKeysLost`, saying how to mend it, when a key is lost."""
    keys = lost()
    if keys:
        raise FieldKeysLost(
            f"Secrets in this database are sealed with {_named(keys)}, which FIELD_KEYS does not hold, so they cannot"
            " be read. Put it back, behind the others (an installation that made its own keeps it in DATA_DIR, in"
            f" secrets/field_keys). If it is lost for good, `manage.py secret forget {keys[0]}` lets the installation"
            " start; what was sealed with it has to be set anew."
        )


def rotate(*, acting_as: str, batch: int = BATCH) -> Rotated:
    """Seal everything anew with the newest key, a batch a transaction, each with a record in its tenant's journal.

    May be broken off and run again at any time, while others read and write. Then retires the keys nothing needs.
    """
    resealed = unreadable = 0
    for tenant_id in _tenants():
        for holder in _holders(tenant_id):
            for done, failed in _rotated(holder, tenant_id, batch, acting_as):
                resealed, unreadable = resealed + done, unreadable + failed
    retired = tuple(_retire(acting_as))
    needed = tuple(key for key in _noted() if key != keyring().ids[0])
    return Rotated(resealed, unreadable, retired, needed)


def forget(key: str, *, acting_as: str) -> None:
    """Give up on a lost key, so that the installation starts without it; what it sealed stays unreadable.

    Raises `UnknownFieldKey`, `FieldKeyPresent`.
    """
    if key in keyring().ids:
        raise FieldKeyPresent
    with tenant_scope(PLATFORM):
        if FieldKey.objects.filter(id=key).delete()[0] == 0:
            raise UnknownFieldKey(f"Nothing here is sealed with a key {key!r}.")
        journal.record("field_key.forgotten", stream=PLATFORM, actor=acting_as, facts={"key": key})


def _noted() -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('vault_fieldkey') IS NOT NULL")
        if cursor.fetchone() != (True,):  # a server that starts before its database was migrated
            return []
    return list(FieldKey.objects.order_by("first_used_at", "id").values_list("id", flat=True))


def _tenants() -> list[UUID]:
    return [*Tenant.objects.order_by("id").values_list("id", flat=True), PLATFORM]


def _rotated(holder: Holder, tenant_id: UUID, batch: int, actor: str) -> Iterator[tuple[int, int]]:
    """Rotate one tenant's rows; yields, for each batch, how many were sealed anew and how many no key opens."""
    with tenant_scope(tenant_id):
        old = [row.pk for row in holder.rows().iterator() if _is_old(holder.read(row))]
    for start in range(0, len(old), batch):
        with tenant_scope(tenant_id):
            done, failed = _reseal(holder, old[start : start + batch])
            if done:
                facts = {"of": holder.name, "key": keyring().ids[0], "count": done}
                journal.record("secret.rotated", stream=tenant_id, actor=actor, facts=facts)
        yield done, failed


def _reseal(holder: Holder, rows: Sequence[Any]) -> tuple[int, int]:
    done = failed = 0
    for row in holder.rows().filter(pk__in=rows).order_by("pk").select_for_update(of=("self",)):
        sealed = holder.read(row)
        if not _is_old(sealed):
            continue  # somebody wrote it meanwhile
        tenant_id, name = holder.bound(row)
        try:
            secret = keyring().open(sealed, tenant_id=tenant_id, name=name)
        except VaultError:
            failed += 1
            continue
        holder.write(row, keyring().seal(secret, tenant_id=tenant_id, name=name))
        done += 1
    return done, failed


def _retire(actor: str) -> list[str]:
    """Delete the notes of keys that seal nothing any more; return them.

    Their rows are locked first, which waits for everybody who is sealing with them, and then everything is looked at.
    """
    with tenant_scope(PLATFORM):
        keys = FieldKey.objects.select_for_update().exclude(id=keyring().ids[0]).order_by("id")
        old = {key.id for key in keys}
        retired = sorted(old - _in_use()) if old else []
        for key in retired:
            FieldKey.objects.filter(id=key).delete()
            journal.record("field_key.retired", stream=PLATFORM, actor=actor, facts={"key": key})
        return retired


def _in_use() -> set[str]:
    """Return the keys that something is sealed with now, in whatever tenant."""
    found: set[str] = set()
    for tenant_id in _tenants():
        with tenant_scope(tenant_id):
            for holder in _holders(tenant_id):
                found.update(key for row in holder.rows().iterator() if (key := sealed_with(holder.read(row))))
    return found


def _holders(tenant_id: UUID) -> list[Holder]:
    return [holder for holder in HOLDERS if holder.of_tenants == (tenant_id != PLATFORM)]


def _is_old(sealed: str) -> bool:
    return bool(sealed) and sealed_with(sealed) != keyring().ids[0]


def _named(keys: Sequence[str]) -> str:
    return f"the key {keys[0]}" if len(keys) == 1 else f"the keys {', '.join(keys)}"

"""The subject of a hold or an erasure: encrypted while it is needed, for the second person to see, then gone."""

from typing import Final
from uuid import UUID

from retention.models import Order
from vault.errors import VaultError
from vault.holders import Holder
from vault.ring import keyring


def seal(order: Order, subject: str) -> None:
    """Keep the subject with the order, which the caller saves."""
    order.sealed_subject = keyring().seal(subject, tenant_id=order.tenant_id, name=_name(order.id))


def of(order: Order) -> str | None:
    """Return the subject; None when there is none, or when it was erased. Raises `SealBroken`, `KeyMissing`."""
    if not order.sealed_subject:
        return None
    return keyring().open(order.sealed_subject, tenant_id=order.tenant_id, name=_name(order.id))


def readable(order: Order) -> str | None:
    """Return the subject; None also when its key is lost, which `secret keys` and the readiness check tell of."""
    try:
        return of(order)
    except VaultError:
        return None


def _name(order_id: UUID) -> str:
    # A colon cannot stand in a secret's name, so none of the vault's opens as this one.
    return f"retention:{order_id}"


def _write(order: Order, sealed: str) -> None:
    order.sealed_subject = sealed
    order.save(update_fields=["sealed_subject"])


#: What `secret rotate` goes through here.
HOLDER: Final = Holder(
    "subjects of holds and erasures",
    rows=lambda: Order.objects.exclude(sealed_subject=""),
    read=lambda order: order.sealed_subject,
    write=_write,
    bound=lambda order: (order.tenant_id, _name(order.id)),
)

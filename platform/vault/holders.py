"""Where sealed values are kept: what `secret rotate` goes through. An app that keeps some adds an entry at `ready`."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from vault.models import Secret

Row = Any


@dataclass(frozen=True, slots=True)
class Holder:
    """One kind of row that holds one sealed value.

    name: what the rows are, for people. rows: those of the tenant in scope, or all of them when they belong to none
    (`of_tenants` is False; then the scope is `db.scope.PLATFORM`).
    read: a row's sealed value, "" for none. write: put another in its place and save; called under the row's lock.
    bound: the tenant and name that the value is sealed for.
    """

    name: str
    rows: Callable[[], "QuerySet[Row]"]
    read: Callable[[Row], str]
    write: Callable[[Row, str], None]
    bound: Callable[[Row], tuple[UUID, str]]
    of_tenants: bool = True


def _write(secret: Secret, sealed: str) -> None:
    secret.sealed = sealed
    secret.save(update_fields=["sealed"])  # its value is what it was, so `updated_at` stays


HOLDERS: list[Holder] = [
    Holder(
        "secrets",
        rows=lambda: Secret.objects.all(),
        read=lambda secret: secret.sealed,
        write=_write,
        bound=lambda secret: (secret.tenant_id, secret.name),
    )
]

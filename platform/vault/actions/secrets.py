"""Keep a tenant's secrets, and hand them to what runs behind the model."""

import re
from collections.abc import Callable
from typing import Final

from django.db.models import QuerySet

from access.acting import acting
from audit import journal
from db.scope import current_tenant_id
from tenants.principal import Principal
from vault.errors import BadSecretName, EmptySecret, SecretInUse, SecretTooLong, SecretTooShort, UnknownSecret
from vault.models import Secret
from vault.ring import keyring

NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,62}")
#: Shorter ones could not be told from ordinary text when they are redacted.
MIN_CHARS: Final = 4
MAX_CHARS: Final = 64 * 1024

MAX_NAMED: Final = 5

#: Each says, given a secret's name, what of the tenant in scope uses it, in words such as “the tool refund”. Apps add
#: theirs when they are ready.
USES: Final[list[Callable[[str], list[str]]]] = []


def put(name: str, value: str, *, acting_as: Principal | str) -> Secret:
    """Keep `value` as the secret `name`, in place of any former one. It cannot be read back by people.

    Raises `BadSecretName`, `EmptySecret`, `SecretTooShort`, `SecretTooLong`; `acting`'s errors for `tools:write`.
    """
    with acting(acting_as, "tools:write") as actor:
        _check(name, value)
        sealed = keyring().seal(value, tenant_id=current_tenant_id(), name=name)
        secret, created = Secret.objects.update_or_create(name=name, defaults={"sealed": sealed})
        journal.record(
            "secret.added" if created else "secret.changed", stream=secret.id, actor=actor, payload={"name": name}
        )
        return secret


def reveal(name: str) -> str:
    """Return the value of the tenant in scope; raises `UnknownSecret` (a `LookupError`), `SealBroken`, `KeyMissing`."""
    secret = Secret.objects.filter(name=name).first()
    if secret is None:
        raise UnknownSecret(f"There is no secret {name!r}; `secret set` makes it.")
    return keyring().open(secret.sealed, tenant_id=current_tenant_id(), name=name)


def remove(name: str, *, acting_as: Principal | str) -> None:
    """Forget a secret for good.

    Raises `UnknownSecret`, `SecretInUse` while a definition in force names it; `acting`'s errors for `tools:write`.
    """
    with acting(acting_as, "tools:write") as actor:
        secret = Secret.objects.select_for_update().filter(name=name).first()
        if secret is None:
            raise UnknownSecret(f"There is no secret {name!r}.")
        users = [user for uses in USES for user in uses(name)]
        if users:
            raise SecretInUse(f"The secret {name} is used by {_listed(users)}; let that use another, or none, first.")
        journal.record("secret.removed", stream=secret.id, actor=actor, payload={"name": name})
        secret.delete()


def kept() -> "QuerySet[Secret]":
    """Return the secrets of the tenant in scope, for their names."""
    return Secret.objects.order_by("name")


def _listed(users: list[str]) -> str:
    few = users[:MAX_NAMED]
    return ", ".join([*few, f"{len(users) - len(few)} more"] if len(users) > len(few) else few)


def _check(name: str, value: str) -> None:
    if not NAME.fullmatch(name):
        raise BadSecretName
    if not value.strip():
        raise EmptySecret
    if len(value) < MIN_CHARS:
        raise SecretTooShort
    if len(value) > MAX_CHARS:
        raise SecretTooLong

"""Keep a tenant's secrets, and hand them to what runs behind the model."""

import re
from functools import lru_cache
from typing import Final

from django.conf import settings

from access.acting import acting
from audit import journal
from db.scope import current_tenant_id
from tenants.principal import Principal
from vault.crypto import Keyring
from vault.errors import BadSecretName, EmptySecret, SecretTooLong, SecretTooShort, UnknownSecret
from vault.models import Secret

NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,62}")
#: Shorter ones could not be told from ordinary text when they are redacted.
MIN_CHARS: Final = 4
MAX_CHARS: Final = 64 * 1024


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


def names() -> list[str]:
    """Return the names of the secrets of the tenant in scope."""
    return list(Secret.objects.order_by("name").values_list("name", flat=True))


@lru_cache(maxsize=1)
def keyring() -> Keyring:
    """Return the installation's keys; raises `BadFieldKey`."""
    return Keyring(settings.FIELD_KEYS)


def _check(name: str, value: str) -> None:
    if not NAME.fullmatch(name):
        raise BadSecretName
    if not value.strip():
        raise EmptySecret
    if len(value) < MIN_CHARS:
        raise SecretTooShort
    if len(value) > MAX_CHARS:
        raise SecretTooLong

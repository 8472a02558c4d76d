"""The keys that sign for an endpoint, encrypted by the vault; and those of runs' callbacks, which nobody keeps."""

import hashlib
import hmac
from collections.abc import Callable
from datetime import datetime
from typing import Final
from uuid import UUID

from django.conf import settings

from vault.actions import secrets
from vault.holders import Holder
from vault.ring import keyring
from webhooks import signing
from webhooks.models import Endpoint


def seal(endpoint: Endpoint, secret: str) -> str:
    """Return the secret encrypted for this endpoint."""
    return keyring().seal(secret, tenant_id=endpoint.tenant_id, name=_name(endpoint))


def keys(endpoint: Endpoint, now: datetime) -> list[bytes]:
    """Return the keys that sign now, newest first. Raises `UnknownSecret`, `BadSecret`, `SealBroken`, `KeyMissing`."""
    if endpoint.secret_name is not None:
        return signing.read(secrets.reveal(endpoint.secret_name))
    sealed = [endpoint.sealed]
    if endpoint.sealed_former and endpoint.former_until is not None and endpoint.former_until > now:
        sealed.append(endpoint.sealed_former)
    opened = (keyring().open(each, tenant_id=endpoint.tenant_id, name=_name(endpoint)) for each in sealed)
    return [key for text in opened for key in signing.read(text)]


def of_callback(run_id: UUID) -> bytes:
    """Return the key that signs what is sent to a run's `callback_url`; made of the run and the installation."""
    return hmac.new(settings.SECRET_KEY.encode(), f"callback of run {run_id}".encode(), hashlib.sha256).digest()


def _name(endpoint: Endpoint) -> str:
    # A colon cannot stand in a secret's name, so none of the vault's opens as this one.
    return f"webhook:{endpoint.id}"


def _holder(name: str, field: str) -> Holder:
    def write(endpoint: Endpoint, sealed: str) -> None:
        setattr(endpoint, field, sealed)
        endpoint.save(update_fields=[field])

    read: Callable[[Endpoint], str] = lambda endpoint: getattr(endpoint, field)  # noqa: E731
    return Holder(
        name,
        rows=lambda: Endpoint.objects.all(),
        read=read,
        write=write,
        bound=lambda endpoint: (endpoint.tenant_id, _name(endpoint)),
    )


#: What `secret rotate` goes through here.
HOLDERS: Final = (_holder("webhooks", "sealed"), _holder("webhooks' former secrets", "sealed_former"))

"""Client secrets of identity providers, encrypted by the vault. No tool can name them, unlike the vault's own."""

from typing import Final

from signin.models import IdentityProvider
from vault.holders import Holder
from vault.ring import keyring


def sealed(provider: IdentityProvider, secret: str) -> str:
    """Return the client secret encrypted for this provider; "" for none."""
    return keyring().seal(secret, tenant_id=provider.tenant_id, name=_name(provider)) if secret else ""


def opened(provider: IdentityProvider) -> str:
    """Return the client secret, "" when there is none; raises `SealBroken`, `KeyMissing`."""
    return (
        keyring().open(provider.sealed_secret, tenant_id=provider.tenant_id, name=_name(provider))
        if provider.sealed_secret
        else ""
    )


def _name(provider: IdentityProvider) -> str:
    # A colon cannot stand in a secret's name, so none of the vault's opens as this one.
    return f"identity_provider:{provider.id}"


def _write(provider: IdentityProvider, sealed: str) -> None:
    provider.sealed_secret = sealed
    provider.save(update_fields=["sealed_secret"])  # the secret is what it was, so `updated_at` stays


#: What `secret rotate` goes through here.
HOLDER: Final = Holder(
    "identity providers",
    rows=lambda: IdentityProvider.objects.all(),
    read=lambda provider: provider.sealed_secret,
    write=_write,
    bound=lambda provider: (provider.tenant_id, _name(provider)),
)

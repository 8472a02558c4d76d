"""Client secrets of identity providers, encrypted by the vault. No tool can name them, unlike the vault's own."""

from signin.models import IdentityProvider
from vault.actions.secrets import keyring


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

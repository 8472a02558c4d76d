"""Client secrets of identity providers are sealed anew with the installation's newest key."""

import os

import pytest
from django.conf import settings

from audit.models import Record
from db.scope import tenant_scope
from signin.models import IdentityProvider
from signin.sealing import opened
from tenants.principal import COMMAND
from tests.signin.idp import CLIENT_SECRET
from tests.signin.sso import change
from tests.worlds import World
from vault import ring
from vault.actions import keys
from vault.crypto import key_id, sealed_with


def test_a_client_secret_goes_along_when_keys_are_rotated(acme: World, monkeypatch: pytest.MonkeyPatch) -> None:
    change(
        acme,
        issuer="https://login.example",
        client_id="countersign",
        client_secret=CLIENT_SECRET,
        name="Corp",
        domains=[],
    )
    own, new = settings.FIELD_KEYS, os.urandom(32)
    monkeypatch.setattr(settings, "FIELD_KEYS", (new, *own))
    ring.keyring.cache_clear()
    try:
        keys.rotate(acting_as=COMMAND)
        with tenant_scope(acme.tenant_id):
            provider = IdentityProvider.objects.get()
            assert sealed_with(provider.sealed_secret) == key_id(new)
            assert opened(provider) == CLIENT_SECRET
            told = Record.objects.get(action="secret.rotated")
    finally:
        monkeypatch.setattr(settings, "FIELD_KEYS", (*own, new))
        ring.keyring.cache_clear()
        keys.rotate(acting_as=COMMAND)
        monkeypatch.undo()
        ring.keyring.cache_clear()

    assert told.facts == {"of": "identity providers", "key": key_id(new), "count": 1}

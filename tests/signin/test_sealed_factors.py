"""Second factors' secrets are sealed anew with the installation's newest key."""

import os

import pytest
from allauth.mfa.models import Authenticator
from django.conf import settings
from django.test import Client

from tenants.principal import COMMAND
from tests.console.conftest import PASSWORD, email, signed_in
from tests.signin.people import actions, add_totp, attempt, code, is_in
from tests.worlds import World
from vault import ring
from vault.actions import keys
from vault.crypto import key_id, sealed_with


def sealed_by(world: World) -> set[str | None]:
    found = Authenticator.objects.filter(user_id=world.alice.user_id)
    return {sealed_with(each.data.get("secret") or each.data["seed"]) for each in found}


def test_factors_go_along_when_keys_are_rotated(acme: World, monkeypatch: pytest.MonkeyPatch) -> None:
    secret, codes = add_totp(signed_in(acme, "alice"))
    own, new = settings.FIELD_KEYS, os.urandom(32)
    before = actions(acme)
    monkeypatch.setattr(settings, "FIELD_KEYS", (new, *own))
    ring.keyring.cache_clear()
    try:
        keys.rotate(acting_as=COMMAND)
        assert sealed_by(acme) == {key_id(new)}
        for shown in (code(secret), codes[0]):
            client = Client()
            attempt(email(acme, "alice"), PASSWORD, client)
            client.post("/accounts/2fa/authenticate/", {"code": shown})
            assert is_in(client)
    finally:
        monkeypatch.setattr(settings, "FIELD_KEYS", (*own, new))
        ring.keyring.cache_clear()
        keys.rotate(acting_as=COMMAND)
        monkeypatch.undo()
        ring.keyring.cache_clear()
    assert sealed_by(acme) == {key_id(own[0])}
    assert actions(acme)[: len(before)] == before

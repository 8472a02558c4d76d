"""What somebody may do to their account when a tenant's identity provider vouched for them."""

from typing import Any

import pytest
from django.contrib.auth.hashers import make_password
from django.test import Client

from tenants.actions import tenants
from tenants.models import User
from tenants.principal import COMMAND
from tests.console.conftest import signed_in
from tests.signin import sso
from tests.signin.idp import IdP
from tests.signin.people import add_totp
from tests.signin.sso import come, opens, person, provide, visitor
from tests.worlds import World

idp = sso.idp


@pytest.fixture
def through(acme: World, idp: IdP) -> Client:
    """A browser that came through the tenant's provider."""
    provide(acme, idp)
    client = visitor()
    come(client, acme, idp, **person(acme, "alice"))
    assert opens(client, acme)
    return client


def asks(world: World, **more: Any) -> None:
    tenant = tenants.by_slug(world.slug)
    tenants.set_second_factor(tenant=tenant, require=True, acting_as=COMMAND, **more)


def test_providers_word_counts_as_a_second_factor_if_the_tenant_says_so(acme: World, through: Client) -> None:
    asks(acme, trust_provider=True)
    assert opens(through, acme)
    assert not opens(signed_in(acme, "bob"), acme)


def test_providers_word_is_not_enough_otherwise(acme: World, through: Client) -> None:
    asks(acme, trust_provider=False)
    assert not opens(through, acme)


def test_provider_can_give_its_own_people_no_passkey(acme: World, through: Client, idp: IdP) -> None:
    alone(acme)
    come(through, acme, idp, **person(acme, "alice"))
    assert "your account is opened by your organisation" in through.get("/accounts/").content.decode()
    assert through.get("/accounts/2fa/webauthn/add/").status_code == 404
    assert through.post("/accounts/2fa/webauthn/add/", {"credential": "{}"}).status_code == 404


def alone(world: World) -> None:
    """Make Alice's account one that the provider alone opens."""
    User.objects.filter(id=world.alice.user_id).update(password=make_password(None))


@pytest.mark.parametrize("page", ["", "password/change/", "2fa/totp/activate/", "2fa/webauthn/add/", "enrol/"])
def test_provider_reaches_nothing_of_an_account_with_a_password(acme: World, through: Client, page: str) -> None:
    assert through.get(f"/accounts/{page}").status_code == 403


def test_first_factor_ends_the_providers_sessions_too(acme: World, through: Client) -> None:
    add_totp(signed_in(acme, "alice"))
    assert not opens(through, acme)

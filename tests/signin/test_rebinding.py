"""Who is bound to one provider is bound to another by nobody's word but their own and the operator's."""

from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from allauth.socialaccount.models import SocialAccount
from django.core.management import call_command
from django.core.management.base import CommandError
from django.test import Client

from db.scope import tenant_scope
from signin.actions import identity_providers
from tenants.models import Role
from tenants.principal import COMMAND
from tests.console.conftest import email, signed_in
from tests.signin.idp import CLIENT_ID, CLIENT_SECRET, IdP
from tests.signin.people import deliver
from tests.signin.sso import change, come, domain, opens, person, provide, told, visitor
from tests.worlds import World


def moved(world: World, idp: IdP) -> None:
    """Let another provider answer for the tenant's domain, as its owner can."""
    change(world, issuer=idp.issuer, client_id=CLIENT_ID, domains=[])
    another(world, idp)


def replaced(world: World, idp: IdP) -> None:
    """Remove the provider first."""
    with tenant_scope(world.tenant_id):
        identity_providers.remove(identity_providers.by_slug("corp"), acting_as=COMMAND)
    another(world, idp)


def another(world: World, idp: IdP) -> None:
    client = {"issuer": idp.issuer, "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "name": "Evil Login"}
    change(world, "evil", **client, domains=[domain(world)], joins_as=Role.VIEWER)


@pytest.fixture
def bound(acme: World, idp: IdP) -> World:
    """A tenant whose Rita came through its provider once."""
    provide(acme, idp)
    come(visitor(), acme, idp, **person(acme, "rita"))
    return acme


def come_by_evil(client: Client, world: World, idp: IdP, who: str = "rita") -> Any:
    return come(client, world, idp, at="evil", **person(world, who, sub=f"evil-{who}"))


def bindings(world: World, who: str = "rita") -> list[str]:
    found = SocialAccount.objects.filter(user__email=email(world, who)).order_by("id")
    return list(found.values_list("uid", flat=True))


@pytest.mark.parametrize("change_over", [moved, replaced])
def test_another_provider_poses_as_nobody(bound: World, idp: IdP, change_over: Callable[..., None]) -> None:
    change_over(bound, idp)
    client = visitor()
    answer = come_by_evil(client, bound, idp)
    assert (answer.status_code, b"<code>other_provider</code>" in answer.content) == (403, True)
    assert not opens(client, bound)
    assert bindings(bound) == ["sub-of-rita"]
    assert [facts["reason"] for *_, facts in told(bound.tenant_id, "login.failed")] == ["other_provider"]
    come_by_evil(client, bound, idp, "bob")  # who was bound to none
    assert opens(client, bound)


def test_who_is_signed_in_by_their_own_means_is_bound(bound: World, idp: IdP) -> None:
    moved(bound, idp)
    rita = signed_in(bound, "rita")
    come_by_evil(rita, bound, idp)
    assert opens(rita, bound)
    assert bindings(bound) == ["sub-of-rita", "evil-rita"]
    come_by_evil(client := visitor(), bound, idp)
    assert opens(client, bound)


def test_somebody_else_who_is_signed_in_speaks_for_nobody(bound: World, idp: IdP) -> None:
    moved(bound, idp)
    assert come_by_evil(signed_in(bound, "bob"), bound, idp).status_code == 403
    known = visitor()
    come_by_evil(known, bound, idp, "alice")
    assert come_by_evil(known, bound, idp).status_code == 403
    assert bindings(bound) == ["sub-of-rita"]


@pytest.mark.parametrize("whose", [[], ["rita"]])
def test_operator_lets_them_be_bound_anew(bound: World, idp: IdP, whose: list[str]) -> None:
    replaced(bound, idp)
    said = StringIO()
    call_command("sso", "release", bound.slug, *(email(bound, who) for who in whose), stdout=said)
    assert said.getvalue().startswith("1 bound before")
    subject = f"user:{bound.rita.user_id}" if whose else None
    assert told(bound.tenant_id, "identity.released") == [("identity.released", COMMAND, subject, {"identities": 1})]
    come_by_evil(client := visitor(), bound, idp)
    assert opens(client, bound)
    assert bindings(bound) == ["evil-rita"]


def test_operator_of_another_tenant_releases_nobody(bound: World, globex: World) -> None:
    call_command("sso", "release", globex.slug, stdout=StringIO())
    with pytest.raises(CommandError, match="not a member"):
        call_command("sso", "release", globex.slug, email(bound, "rita"))
    assert bindings(bound) == ["sub-of-rita"]
    assert told(globex.tenant_id, "identity.%") == []


def test_person_is_told_of_each_first_binding(acme: World, idp: IdP) -> None:
    provide(acme, idp)
    deliver()
    for _ in range(2):
        come(visitor(), acme, idp, **person(acme, "rita"))
    [letter] = deliver()
    assert letter.to == [email(acme, "rita")]
    assert letter.subject == "Your Countersign account can be signed in to through Corp Login"
    assert f"Corp Login of {acme.slug}" in letter.body

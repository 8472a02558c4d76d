"""A tenant's owner runs the provider, and has it say whatever helps them into other tenants."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from django.contrib.auth.hashers import make_password
from django.http import HttpRequest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from db.scope import tenant_scope
from signin import device
from signin.oidc.confinement import OPEN_PAGES
from tenants.actions import members, tenants
from tenants.models import Membership, Role, User
from tenants.principal import COMMAND
from tests.console.conftest import signed_in
from tests.signin.idp import IdP
from tests.signin.people import add_totp
from tests.signin.sso import change, come, domain, opens, person, provide, told, visitor
from tests.web.conftest import limits
from tests.worlds import World

__all__ = ["limits"]


@pytest.fixture
def victim(acme: World, globex: World) -> User:
    """One who works in both tenants, with a password of their own: Globex's operator, whom Acme made a member too."""
    user = User.objects.get(id=globex.alice.user_id)
    members.put(tenant=tenants.by_slug(acme.slug), email=user.email, role=Role.VIEWER, acting_as=COMMAND)
    return user


@pytest.fixture
def taken(acme: World, globex: World, victim: User, idp: IdP) -> Client:
    """A session as the victim that Acme's provider vouched for. Even the installation's operator was careless."""
    provide(acme, idp, of=globex)
    client = visitor()
    assert come(client, acme, idp, **person(globex, "alice")).status_code == 302
    return client


def test_session_opens_the_providers_tenant_and_no_other(acme: World, globex: World, taken: Client) -> None:
    assert opens(taken, acme)
    refused = taken.get(f"/{globex.slug}/runs/")
    nowhere = taken.get("/there-is-no-such-tenant/runs/")
    assert refused.status_code == nowhere.status_code == 404
    assert refused.content == nowhere.content


def test_session_does_not_even_learn_of_other_tenants(acme: World, globex: World, taken: Client) -> None:
    shown = taken.get("/?choose").content.decode()
    assert acme.slug in shown
    assert globex.slug not in shown.replace(domain(globex), "")
    assert taken.get("/")["Location"] == f"/{acme.slug}/"


def test_session_does_not_follow_another_tenants_run(acme: World, globex: World, taken: Client) -> None:
    run = globex.submit("refund-desk", {"order": "1"})
    assert taken.get(f"/{globex.slug}/runs/{run.id}/live/").status_code == 404


def test_other_tenants_journal_is_left_alone(acme: World, globex: World, taken: Client) -> None:
    taken.post("/accounts/logout/")
    assert told(globex.tenant_id, "login.%") == []
    assert [action for action, *_ in told(acme.tenant_id, "login.%")] == ["login.succeeded", "login.ended"]


def test_browser_does_not_become_one_of_the_accounts_own(victim: User, taken: Client) -> None:
    request = HttpRequest()
    request.COOKIES[device.COOKIE] = taken.cookies[device.COOKIE].value
    assert device.known_as(request, victim.id) is None  # a budget of guesses at the victim's password


def test_owner_of_the_account_still_opens_both(acme: World, globex: World, victim: User, taken: Client) -> None:
    own = signed_in(globex, "alice")
    assert opens(own, acme)
    assert opens(own, globex)


def names(patterns: Iterable[URLPattern | URLResolver], app: str = "") -> Iterator[tuple[str, str]]:
    """Yield (app, name) of every route."""
    for each in patterns:
        if isinstance(each, URLResolver):
            yield from names(each.url_patterns, each.app_name or app)
        else:
            yield app, str(each.name)


def test_what_the_session_opens_is_listed_and_there() -> None:
    assert {name for app, name in names(get_resolver().url_patterns) if not app} >= OPEN_PAGES
    assert {name for name in OPEN_PAGES if name.startswith(("account", "mfa"))} == {
        "account_login",
        "account_logout",
        "account_inactive",
    }


@pytest.mark.parametrize(
    "page",
    [
        "/accounts/",
        "/accounts/password/change/",
        "/accounts/password/reset/",
        "/accounts/reauthenticate/",
        "/accounts/2fa/totp/activate/",
        "/accounts/2fa/recovery-codes/",
        "/accounts/2fa/webauthn/add/",
        "/accounts/enrol/",
        "/admin/",
    ],
)
def test_session_cannot_take_the_account_over(acme: World, victim: User, taken: Client, page: str) -> None:
    User.objects.filter(id=victim.id).update(is_staff=True, is_superuser=True)
    for answer in (taken.get(page), taken.post(page, {"password1": "new", "password2": "new"})):
        assert answer.status_code == 403, (page, answer.content)
    assert Authenticator.objects.filter(user=victim).count() == 0
    assert [facts["method"] for _, _, _, facts in told(acme.tenant_id, "account.refused")] == ["GET", "POST"]


def test_it_can_not_make_the_journal_grow_without_end(acme: World, taken: Client, limits: Callable[..., None]) -> None:
    limits(refusals=2)
    answers = [taken.get("/accounts/") for _ in range(5)]

    assert [answer.status_code for answer in answers] == [403] * 2 + [429] * 3
    assert int(answers[-1]["Retry-After"]) >= 1
    assert len(told(acme.tenant_id, "account.refused")) == 2
    assert len(told(acme.tenant_id, "account.throttled")) == 1
    assert opens(taken, acme)


def test_session_stays_limited_beyond_the_accounts_own_second_factor(
    acme: World, globex: World, victim: User, idp: IdP
) -> None:
    _, spare = add_totp(signed_in(globex, "alice"))
    provide(acme, idp, of=globex)
    client = visitor()
    asked = come(client, acme, idp, **person(globex, "alice"))
    assert asked["Location"] == "/accounts/2fa/authenticate/"
    assert not opens(client, acme)
    assert "an access token" not in str(client.session.items())
    client.post("/accounts/2fa/authenticate/", {"code": spare[0]})
    assert opens(client, acme)
    assert not opens(client, globex)
    assert client.get("/accounts/").status_code == 403
    [(*_, facts)] = [row for row in told(acme.tenant_id, "login.succeeded") if "providers" in row[3]]
    assert facts["steps"] == ["socialaccount", "recovery_codes"]


def test_sign_in_that_waits_is_over_when_the_provider_is_switched_off(
    acme: World, globex: World, victim: User, idp: IdP
) -> None:
    _, spare = add_totp(signed_in(globex, "alice"))
    made = provide(acme, idp, of=globex)
    client = visitor()
    come(client, acme, idp, **person(globex, "alice"))
    change(acme, issuer=made.issuer, client_id=made.client_id, domains=[domain(globex)], enabled=False)
    assert client.post("/accounts/2fa/authenticate/", {"code": spare[0]})["Location"] == "/accounts/login/"
    assert not opens(client, acme)


def test_account_of_the_tenant_alone_is_looked_after_from_its_session(acme: World, idp: IdP) -> None:
    provide(acme, idp)
    User.objects.filter(id=acme.alice.user_id).update(password=make_password(None))
    client = visitor()
    come(client, acme, idp, **person(acme, "alice"))
    assert client.get("/accounts/").status_code == 200
    assert client.get("/admin/").status_code == 403


def test_provider_cannot_speak_for_domains_it_was_not_allowed(
    acme: World, globex: World, victim: User, idp: IdP
) -> None:
    provide(acme, idp)
    client = visitor()
    answer = come(client, acme, idp, **person(globex, "alice"))
    assert (answer.status_code, b"email_domain" in answer.content) == (403, True)
    assert not opens(client, acme)
    assert [facts["reason"] for *_, facts in told(acme.tenant_id, "login.failed")] == ["email_domain"]


def test_provider_cannot_bring_a_stranger_in_by_their_address(acme: World, globex: World, idp: IdP) -> None:
    provide(acme, idp, of=globex, joins_as=Role.VIEWER)
    client = visitor()
    answer = come(client, acme, idp, **person(globex, "bob"))
    assert (answer.status_code, b"not_a_member" in answer.content) == (403, True)
    assert globex.bob.user_id not in {row[2] for row in told(acme.tenant_id, "member.%")}
    assert not opens(client, acme)
    assert not opens(client, globex)


@pytest.mark.parametrize("said", [{"email_verified": False}, {"email_verified": None}, {"email_verified": "yes"}])
def test_address_that_is_not_vouched_for_leads_nowhere(acme: World, idp: IdP, said: dict[str, Any]) -> None:
    provide(acme, idp)
    idp.lies.claims = said
    client = visitor()
    answer = come(client, acme, idp, **person(acme, "alice"))
    assert (answer.status_code, b"email_unverified" in answer.content) == (403, True)
    assert not opens(client, acme)


@pytest.mark.parametrize("name", ["al\u0131ce", "ALICE\u200b", "\u212aate"])
def test_address_that_only_looks_like_a_members_leads_nowhere(acme: World, idp: IdP, name: str) -> None:
    provide(acme, idp)
    acme.member("kate", Role.VIEWER)
    answer = come(visitor(), acme, idp, **person(acme, name, sub="1"))
    assert b"email_domain" in answer.content


def test_second_identity_of_the_same_address_is_somebody_else(acme: World, idp: IdP) -> None:
    provide(acme, idp)
    come(visitor(), acme, idp, **person(acme, "alice"))
    client = visitor()
    answer = come(client, acme, idp, **person(acme, "alice", sub="the next one of that name"))
    assert (answer.status_code, b"other_identity" in answer.content) == (403, True)
    assert not opens(client, acme)


def test_identity_stays_with_its_account_whatever_address_it_claims(acme: World, idp: IdP) -> None:
    provide(acme, idp)
    come(visitor(), acme, idp, **person(acme, "bob"))
    client = visitor()
    come(client, acme, idp, **person(acme, "bob", email=f"alice@{domain(acme)}"))
    assert f"bob@{domain(acme)}" in client.get("/?choose").content.decode()


def test_same_subject_at_another_tenants_provider_is_somebody_else(acme: World, globex: World, idp: IdP) -> None:
    provide(acme, idp)
    provide(globex, idp)
    come(visitor(), acme, idp, sub="1", email=f"alice@{domain(acme)}", email_verified=True)
    client = visitor()
    come(client, globex, idp, sub="1", email=f"bob@{domain(globex)}", email_verified=True)
    assert opens(client, globex)
    assert not opens(client, acme)
    assert f"bob@{domain(globex)}" in client.get("/?choose").content.decode()


def test_former_member_is_not_let_in_by_the_provider(acme: World, idp: IdP) -> None:
    made = provide(acme, idp, joins_as=Role.OPERATOR)
    client = visitor()
    come(client, acme, idp, **person(acme, "bob"))
    with tenant_scope(acme.tenant_id):
        membership = Membership.objects.get(user_id=acme.bob.user_id)
        members.remove(membership, acting_as=COMMAND)
    assert not opens(client, acme)
    answer = come(visitor(), acme, idp, **person(acme, "bob"))
    assert b"not_a_member" in answer.content
    assert made.enabled


def test_provider_that_is_switched_off_ends_its_sessions(acme: World, idp: IdP) -> None:
    made = provide(acme, idp)
    client = visitor()
    come(client, acme, idp, **person(acme, "alice"))
    assert opens(client, acme)
    change(acme, issuer=made.issuer, client_id=made.client_id, domains=[domain(acme)], enabled=False)
    assert not opens(client, acme)
    assert "This session opens nothing any more" in client.get("/").content.decode()
    assert opens(signed_in(acme, "alice"), acme)


def test_enforced_provider_closes_the_tenant_to_passwords(acme: World, globex: World, idp: IdP) -> None:
    provide(acme, idp, enforced=True)
    members.put(tenant=tenants.by_slug(globex.slug), email=f"alice@{domain(acme)}", role=Role.VIEWER, acting_as=COMMAND)
    members.put(tenant=tenants.by_slug(acme.slug), email=f"alice@{domain(globex)}", role=Role.VIEWER, acting_as=COMMAND)
    alice = signed_in(acme, "alice")
    led = alice.get(f"/{acme.slug}/runs/")
    assert led["Location"] == f"/accounts/sso/{acme.slug}/?next=/{acme.slug}/runs/"
    assert opens(alice, globex)
    run = acme.submit("refund-desk", {"order": "1"})
    assert alice.get(f"/{acme.slug}/runs/{run.id}/live/").status_code == 404
    assert opens(signed_in(globex, "alice"), acme)  # whose address is of another domain
    client = visitor()
    come(client, acme, idp, **person(acme, "alice"))
    assert opens(client, acme)
    assert not opens(client, globex)

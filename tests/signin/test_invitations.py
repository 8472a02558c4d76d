"""The link in an invitation, and who comes in by it."""

import re
from typing import Any
from uuid import uuid4

import pytest
from allauth.socialaccount.models import SocialAccount
from django.core import mail
from django.core.mail.backends.base import BaseEmailBackend
from django.test import Client

from config.email import email_settings
from db.scope import PLATFORM, tenant_scope
from signin.actions import email_domains
from signin.mail import send_invitation
from tenants.actions import invitations, tenants
from tenants.models import Invitation, Membership, Role, User
from tenants.principal import COMMAND
from tests.console.conftest import PASSWORD, email, signed_in
from tests.signin.idp import IdP
from tests.signin.sso import come, domain, opens, person, provide, told, visitor
from tests.signin.test_sign_in import everything
from tests.worlds import World

HERE = "/accounts/invitations/"
NEW = {"name": "Nina New", "password": "nine nimble narwhals"}


def invite(world: World, address: str, role: Role = Role.REVIEWER) -> str:
    """Invite somebody; return the token."""
    _, token = invitations.invite(tenant_id=world.tenant_id, email=address, role=role, acting_as=COMMAND)
    return token


def stranger() -> str:
    """Return an address that nobody has."""
    return f"new-{uuid4().hex[:8]}@nowhere.example"


def follow(client: Client, token: str) -> Any:
    """Open the link."""
    answer = client.get(f"{HERE}{token}/")
    assert (answer.status_code, answer["Location"]) == (302, HERE)
    return client.get(HERE)


def role_in(world: World, address: str) -> str | None:
    """Return the role of a member."""
    with tenant_scope(world.tenant_id):
        found = Membership.objects.filter(user__email=address).first()
        return str(found.role) if found else None


def test_newcomer_makes_an_account_and_is_in(acme: World) -> None:
    address, client = stranger(), visitor()
    shown = follow(client, invite(acme, address)).content.decode()
    assert acme.slug in shown
    assert "reviewer" in shown
    answer = client.post(HERE, NEW)
    assert answer["Location"] == f"/{acme.slug}/"
    assert opens(client, acme)
    user = User.objects.get(email=address)
    assert (user.name, user.check_password(NEW["password"]), role_in(acme, address)) == ("Nina New", True, "reviewer")
    actor = f"user:{user.id}"
    assert [row[:3] for row in told(PLATFORM, "account.opened") if row[1] == actor] == [
        ("account.opened", actor, actor)
    ]
    assert [row[1] for row in told(acme.tenant_id, "member.added")][-1] == actor
    assert [row[3]["steps"] for row in told(acme.tenant_id, "login.succeeded")] == [["password"]]


def test_member_of_another_tenant_signs_in_first(acme: World, globex: World) -> None:
    client = visitor()
    token = invite(acme, email(globex, "alice"), Role.VIEWER)
    assert "Sign in with it, then accept." in follow(client, token).content.decode()
    assert client.post(HERE, NEW).status_code == 200  # changes nothing
    assert User.objects.get(id=globex.alice.user_id).check_password(PASSWORD)
    entered = client.post("/accounts/login/", {"login": email(globex, "alice"), "password": PASSWORD, "next": HERE})
    assert entered["Location"] == HERE
    assert not opens(client, acme)
    assert client.post(HERE)["Location"] == f"/{acme.slug}/"
    assert opens(client, acme)
    assert role_in(acme, email(globex, "alice")) == "viewer"


def test_link_is_good_once(acme: World) -> None:
    address, client = stranger(), visitor()
    token = invite(acme, address)
    follow(client, token)
    client.post(HERE, NEW)
    again = follow(visitor(), token)
    assert (again.status_code, b"opens nothing" in again.content) == (404, True)
    assert client.get(HERE).status_code == 404


def test_link_is_for_the_one_invited(acme: World, globex: World) -> None:
    token = invite(acme, email(globex, "alice"))
    bob = signed_in(globex, "bob")
    assert f"You are signed in as {email(globex, 'bob')}" in follow(bob, token).content.decode()
    assert bob.post(HERE, NEW).status_code == 200
    assert not opens(bob, acme)
    assert role_in(acme, email(globex, "bob")) is None
    assert bob.post("/accounts/logout/", {"next": HERE})["Location"] == HERE


def test_link_that_expired_was_withdrawn_or_never_was_opens_nothing(acme: World) -> None:
    expired, withdrawn = invite(acme, stranger()), invite(acme, address := stranger())
    with tenant_scope(acme.tenant_id):
        Invitation.objects.exclude(email=address).update(expires_at="2020-01-01T00:00:00Z")
        invitations.revoke(Invitation.objects.get(email=address), acting_as=COMMAND)
    assert follow(visitor(), expired).status_code == 410
    gone, never = follow(visitor(), withdrawn), follow(visitor(), "never-was")
    assert (gone.status_code, never.status_code, gone.content == never.content) == (404, 404, True)
    assert visitor().get(HERE).status_code == 404
    assert follow(visitor(), "n\u00e9ver").status_code == 404


def test_token_stands_in_no_page_record_or_further_address(acme: World) -> None:
    client, token = visitor(), invite(acme, stranger())
    pages = [follow(client, token), client.post(HERE, {"name": "", "password": "short"}), client.post(HERE, NEW)]
    for page in pages:
        assert token not in page.content.decode() + str(page.headers)
    assert token not in everything(acme.tenant_id) + everything(PLATFORM)
    cookie = visitor()
    cookie.get(f"{HERE}{token}/")
    kept = cookie.cookies["invitation"]
    assert (kept["httponly"], kept["path"], kept["samesite"]) == (True, HERE, "Lax")


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"password": "short"}, "too short"),
        ({"password": "password1234"}, "too common"),
        ({"name": ""}, "required"),
        ({"name": "two\nlines"}, "one line"),
        ({"name": "n" * 201}, "200 characters"),
        ({"name": "nul\0"}, "Null characters"),
    ],
)
def test_account_is_not_made_of_anything(acme: World, wrong: dict[str, str], words: str) -> None:
    address, client = stranger(), visitor()
    follow(client, invite(acme, address))
    shown = client.post(HERE, NEW | wrong)
    assert (shown.status_code, words in shown.content.decode()) == (200, True)
    assert not User.objects.filter(email=address).exists()


def test_account_that_only_has_a_provider_comes_by_it_first(acme: World, globex: World, idp: IdP) -> None:
    provide(acme, idp, joins_as=Role.VIEWER)
    address = f"solo@{domain(acme)}"
    come(visitor(), acme, idp, **person(acme, "solo"))
    token, client = invite(globex, address), visitor()
    assert "through its own provider" in follow(client, token).content.decode()
    assert client.post(HERE, NEW).status_code == 200  # changes nothing
    assert not User.objects.get(email=address).has_usable_password()
    assert role_in(globex, address) is None

    come(client, acme, idp, **person(acme, "solo"))
    assert "A password" in client.get(HERE).content.decode()
    assert client.post(HERE, NEW)["Location"] == f"/{globex.slug}/"
    assert opens(client, globex)
    assert opens(client, acme)
    assert SocialAccount.objects.filter(user__email=address).exists()
    assert [row[0] for row in told(acme.tenant_id, "password.%")] == ["password.reset"]
    assert [row[3]["steps"] for row in told(globex.tenant_id, "login.succeeded")] == [["password"]]


def test_provider_does_not_speak_for_an_account_that_has_a_password(acme: World, globex: World, idp: IdP) -> None:
    provide(acme, idp)
    limited, token = visitor(), invite(globex, email(acme, "alice"))
    come(limited, acme, idp, **person(acme, "alice"))
    assert "which cannot speak for you here" in follow(limited, token).content.decode()
    limited.post(HERE, NEW)
    assert role_in(globex, email(acme, "alice")) is None


def test_account_whose_provider_answers_for_it_no_more_gets_a_password(acme: World, globex: World, idp: IdP) -> None:
    provide(acme, idp, joins_as=Role.VIEWER)
    address, client = f"solo@{domain(acme)}", visitor()
    come(visitor(), acme, idp, **person(acme, "solo"))
    email_domains.withdraw(tenants.by_slug(acme.slug), domain(acme), acting_as=COMMAND)
    follow(client, invite(globex, address))
    client.post(HERE, NEW)
    assert opens(client, globex)


def test_who_is_asked_for_the_tenants_own_provider_chooses_no_password(acme: World, idp: IdP) -> None:
    provide(acme, idp, enforced=True)
    client = visitor()
    shown = follow(client, invite(acme, f"ina@{domain(acme)}")).content.decode()
    assert "no password to choose" in shown
    assert client.post(HERE)["Location"] == f"/accounts/sso/{acme.slug}/"
    assert not User.objects.get(email=f"ina@{domain(acme)}").has_usable_password()
    come(client, acme, idp, **person(acme, "ina"))
    assert opens(client, acme)


def test_form_needs_its_token(acme: World) -> None:
    client, address = Client(enforce_csrf_checks=True), stranger()
    follow(client, invite(acme, address))
    assert client.post(HERE, NEW).status_code == 403
    assert not User.objects.filter(email=address).exists()


def mailed(world: World, address: str) -> tuple[bool, str]:
    """Invite by e-mail; say whether it went, and return the token."""
    made, token = invitations.invite(tenant_id=world.tenant_id, email=address, role=Role.VIEWER, acting_as=COMMAND)
    return send_invitation(made, token, tenant=tenants.by_slug(world.slug)), token


def test_mail_is_plain_and_holds_the_link(acme: World) -> None:
    address = stranger()
    sent, token = mailed(acme, address)
    [letter] = [each for each in mail.outbox if each.to == [address]]
    assert sent
    assert letter.subject == f"You are invited to {acme.slug} on Countersign"
    assert letter.content_subtype == "plain"
    [link] = re.findall(r"^http\S+$", str(letter.body), re.MULTILINE)
    assert link == f"http://localhost:8000{HERE}{token}/"
    assert "viewer" in letter.body


def test_name_of_a_tenant_writes_no_header(acme: World) -> None:
    tenant = tenants.by_slug(acme.slug)
    tenant.name = "A&B\nBcc: x@nowhere.example"
    made, token = invitations.invite(tenant_id=acme.tenant_id, email=stranger(), role=Role.VIEWER, acting_as=COMMAND)
    assert send_invitation(made, token, tenant=tenant)
    assert mail.outbox[-1].subject == "You are invited to A&B Bcc: x@nowhere.example on Countersign"
    assert mail.outbox[-1].recipients() == [made.email]


def test_where_mail_is_off_none_is_said_to_have_gone(
    acme: World, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    settings.EMAIL_BACKEND = email_settings("off").backend
    sent, token = mailed(acme, address := stranger())
    assert not sent
    assert "`tenant invite` prints a link" in caplog.text
    assert token not in caplog.text
    assert address not in caplog.text


class Away(BaseEmailBackend):
    """A mail server that does not answer."""

    def send_messages(self, email_messages: Any) -> int:
        raise ConnectionRefusedError(email_messages[0].body)


def test_mail_that_cannot_go_is_logged_without_the_link(
    acme: World, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    settings.EMAIL_BACKEND = f"{__name__}.Away"
    sent, token = mailed(acme, address := stranger())
    assert not sent
    assert "ConnectionRefusedError" in caplog.text
    assert token not in caplog.text
    assert address not in caplog.text

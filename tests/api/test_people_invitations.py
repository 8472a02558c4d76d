"""Invitations over REST, down to the mail."""

import re
from smtplib import SMTPException
from typing import Any

import pytest
from django.core import mail

from db.scope import tenant_scope
from tenants.actions import invitations, members
from tenants.errors import UnknownInvitation
from tenants.models import Role, User
from tenants.scopes import SCOPES
from tests.api.conftest import Caller, caller
from tests.api.test_schema import fits
from tests.worlds import World

LINK = re.compile(r"/accounts/invitations/([A-Za-z0-9_-]{43})/")


@pytest.fixture
def olga(acme: World) -> Caller:
    """The tenant's owner."""
    return caller(acme, acme.member("olga", Role.OWNER), *SCOPES)


@pytest.fixture(autouse=True)
def _mail(settings: Any) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    mail.outbox = []


def address(acme: World) -> str:
    return f"ina@{acme.slug}.example"


def test_an_invitation_reaches_the_one_invited_and_nobody_else_gets_the_link(acme: World, olga: Caller) -> None:
    answer = olga.post("invitations", {"email": address(acme).upper(), "role": "reviewer"})

    assert fits(answer, "NewInvitation")
    shown = answer.json
    assert (answer.status, shown["email"], shown["status"], shown["mailed"]) == (201, address(acme), "pending", True)
    assert shown["invited_by"] == f"olga@{acme.slug}.example"
    [letter] = mail.outbox
    assert letter.to == [address(acme)]
    [token] = set(LINK.findall(str(letter.body)))
    assert invitations.find(token).role == Role.REVIEWER
    for told in (answer, olga.get("invitations"), olga.get(f"invitations/{shown['id']}")):
        assert token.encode() not in told.content
    assert fits(olga.get("invitations"), "InvitationPage")
    assert fits(olga.get(f"invitations/{shown['id']}"), "Invitation")


def test_an_accepted_invitation_says_so(acme: World, olga: Caller) -> None:
    made = olga.post("invitations", {"email": address(acme), "role": "reviewer"}).json
    [token] = LINK.findall(str(mail.outbox[0].body))[:1]
    invitations.accept(token, user_id=User.objects.create_user(address(acme)).id)

    assert olga.get(f"invitations/{made['id']}").json["status"] == "accepted"
    assert olga("DELETE", f"invitations/{made['id']}").code == "invitation_ended"
    assert olga.post("invitations", {"email": address(acme), "role": "owner"}).code == "already_member"
    assert address(acme) in {each["email"] for each in olga.get("members").json["results"]}


def test_a_withdrawn_invitation_opens_nothing(acme: World, olga: Caller) -> None:
    made = olga.post("invitations", {"email": address(acme), "role": "reviewer"}).json

    assert olga("DELETE", f"invitations/{made['id']}").status == 204
    assert olga("DELETE", f"invitations/{made['id']}").code == "invitation_ended"
    assert olga.get(f"invitations/{made['id']}").json["status"] == "revoked"
    with pytest.raises(UnknownInvitation):
        invitations.find(LINK.findall(str(mail.outbox[0].body))[0])


def test_a_mail_server_that_is_away_takes_no_invitation_back(
    acme: World, olga: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any, **__: Any) -> None:
        raise SMTPException("away")

    monkeypatch.setattr(mail.EmailMessage, "send", away)
    answer = olga.post("invitations", {"email": address(acme), "role": "reviewer"})

    assert (answer.status, answer.json["mailed"]) == (201, False)
    assert olga.get(f"invitations/{answer.json['id']}").json["status"] == "pending"


def test_no_mail_is_sent_for_what_is_refused(acme: World, olga: Caller, bob: Caller) -> None:
    with tenant_scope(acme.tenant_id):
        rita = members.any_by_email(f"rita@{acme.slug}.example")
    members.deactivate(rita, acting_as="system:test")

    for who, body, code in (
        (olga, {"email": "nobody", "role": "viewer"}, "bad_email"),
        (olga, {"email": "a@b.example\nBcc: c@d.example", "role": "viewer"}, "bad_email"),
        (olga, {"email": f"bob@{acme.slug}.example", "role": "viewer"}, "already_member"),
        (olga, {"email": f"rita@{acme.slug}.example", "role": "viewer"}, "member_inactive"),
        (olga, {"email": address(acme), "role": "king"}, "invalid_body"),
        (olga, {"email": address(acme), "role": "viewer", "password": "x"}, "invalid_body"),
        (bob, {"email": address(acme), "role": "owner"}, "missing_scope"),
    ):
        assert who.post("invitations", body).code == code
    assert mail.outbox == []

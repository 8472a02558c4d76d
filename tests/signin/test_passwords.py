"""Changing a password, and getting a new one by a link."""

import threading
from typing import Any
from uuid import uuid4

import pytest
from allauth.socialaccount.models import SocialAccount
from django.core.mail.backends.locmem import EmailBackend
from django.test import Client

from config.email import email_settings
from db.scope import PLATFORM, tenant_scope
from signin import letters
from tenants.actions import members
from tenants.models import Role, User
from tenants.principal import COMMAND
from tests.console.conftest import PASSWORD, email, signed_in
from tests.signin.idp import IdP
from tests.signin.people import actions, attempt, deliver, everything, is_in, link_in, new_password_by_link, told
from tests.signin.sso import provide
from tests.worlds import World

NEW = "another horse that signs"


def change(client: Client, old: str = PASSWORD, new: str = NEW) -> object:
    fields = {"oldpassword": old, "password1": new, "password2": new}
    return client.post("/accounts/password/change/", fields)


def test_changing_it_keeps_this_session_and_ends_the_others(acme: World) -> None:
    here, there = signed_in(acme, "alice"), signed_in(acme, "alice")
    change(here)
    assert is_in(here)
    assert not is_in(there)
    assert not is_in_with(acme, PASSWORD)
    assert is_in_with(acme, NEW)


def is_in_with(world: World, password: str) -> bool:
    client = Client()
    attempt(email(world, "alice"), password, client)
    return is_in(client)


def test_changing_it_leaves_one_record_and_one_letter(acme: World) -> None:
    deliver()
    change(signed_in(acme, "alice"))
    assert actions(acme) == ["login.succeeded", "password.changed"]
    (letter,) = deliver()
    assert letter.to == [email(acme, "alice")]
    assert "was changed" in letter.body
    assert NEW not in everything(acme.tenant_id)


def test_record_goes_to_each_of_the_persons_tenants(acme: World, globex: World) -> None:
    from tenants.actions import tenants

    members.put(tenant=tenants.by_slug(globex.slug), email=email(acme, "alice"), role=Role.VIEWER, acting_as=COMMAND)
    change(signed_in(acme, "alice"))
    alice = acme.alice.user_id
    assert [action for action, _, _ in told(globex.tenant_id, alice)] == ["login.succeeded", "password.changed"]
    assert actions(acme) == ["login.succeeded", "password.changed"]
    assert told(PLATFORM, alice) == []


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("not it", NEW, "not your current password"),
        (PASSWORD, "short", "too short"),
        (PASSWORD, "qwerty123456", "too common"),
    ],
)
def test_bad_change_changes_nothing(acme: World, old: str, new: str, said: str) -> None:
    client = signed_in(acme, "alice")
    answer = client.post("/accounts/password/change/", {"oldpassword": old, "password1": new, "password2": new})
    assert said in answer.content.decode()
    assert actions(acme) == ["login.succeeded"]
    assert is_in_with(acme, PASSWORD)


def test_change_that_cannot_be_recorded_does_not_happen(acme: World, monkeypatch: pytest.MonkeyPatch) -> None:
    client = signed_in(acme, "alice")
    client.raise_request_exception = False
    monkeypatch.setattr("audit.journal.record", fail)
    assert change(client).status_code == 500  # type: ignore[attr-defined]
    monkeypatch.undo()
    assert is_in(client)
    assert is_in_with(acme, PASSWORD)


def fail(*_: object, **__: object) -> None:
    raise RuntimeError("the journal is full")


def test_link_sets_a_password_once_and_ends_every_session(acme: World) -> None:
    old = signed_in(acme, "alice")
    deliver()
    client = Client()
    client.post("/accounts/password/reset/", {"email": email(acme, "alice").upper()})
    (letter,) = deliver()
    path = link_in(letter)
    form = client.get(path, follow=True)
    assert path not in form.redirect_chain[-1][0]
    done = client.post(form.redirect_chain[-1][0], {"password1": NEW, "password2": NEW}, follow=True).content.decode()
    assert "here or elsewhere, is so no more" in done
    assert "other sessions" not in done + client.get("/accounts/login/").content.decode()
    assert not is_in(old)
    assert is_in_with(acme, NEW)
    assert "password.reset" in actions(acme)
    assert "This link is used up" in Client().get(path, follow=True).content.decode()
    (word,) = deliver()
    assert "set anew" in word.body


def test_link_is_plain_text_and_leads_to_the_installations_own_address(acme: World) -> None:
    deliver()
    Client().post("/accounts/password/reset/", {"email": email(acme, "alice")}, headers={"Host": "localhost"})
    (letter,) = deliver()
    assert letter.content_subtype == "plain"
    assert not getattr(letter, "alternatives", [])
    assert "http://localhost:8000/accounts/password/reset/key/" in letter.body


def test_asking_answers_alike_for_everybody(acme: World) -> None:
    deliver()
    known = Client().post("/accounts/password/reset/", {"email": email(acme, "alice")}, follow=True)
    unknown = Client().post("/accounts/password/reset/", {"email": "nobody@nowhere.example"}, follow=True)
    assert known.content == unknown.content
    assert known.redirect_chain == unknown.redirect_chain
    assert [letter.to for letter in deliver()] == [[email(acme, "alice")]]


def test_closed_accounts_services_and_providers_own_people_get_no_link(acme: World, idp: IdP) -> None:
    alice, bob = (User.objects.get(id=getattr(acme, name).user_id) for name in ("alice", "bob"))
    alice.is_active = False
    bob.set_unusable_password()
    bob.save()
    SocialAccount.objects.create(user=bob, provider=str(provide(acme, idp).id), uid="1")
    with tenant_scope(acme.tenant_id):
        robot = members.put_service(name="robot", role=Role.DEVELOPER, acting_as=COMMAND)
    assert [letters.may_reset(user) for user in (alice, bob, robot)] == [False, False, False]


def test_somebody_invited_sets_a_first_password_by_the_link(acme: World) -> None:
    user = User.objects.create_user(f"new@{acme.slug}.example")
    assert letters.may_reset(user)


def test_links_for_one_address_are_bounded(acme: World) -> None:
    answers = [Client().post("/accounts/password/reset/", {"email": email(acme, "alice")}) for _ in range(6)]
    assert [answer.status_code for answer in answers] == [302] * 5 + [429]


def test_person_without_a_password_is_led_to_the_link(acme: World) -> None:
    client = signed_in(acme, "alice")
    user = User.objects.get(id=acme.alice.user_id)
    user.set_unusable_password()
    user.save()
    client.force_login(user)
    assert client.get("/accounts/password/change/")["Location"] == "/accounts/password/reset/"


def test_browser_that_came_by_the_link_is_known(acme: World) -> None:
    client = Client()
    new_password_by_link(acme, "alice", NEW, client)
    assert "known" in client.cookies


def test_letter_that_cannot_be_sent_is_logged_and_holds_nobody_up(
    acme: World, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    deliver()
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    answer = Client().post("/accounts/password/reset/", {"email": email(acme, "alice")})
    assert answer.status_code == 302
    assert deliver() == []
    assert f"A letter to user {acme.alice.user_id} was not sent: ConnectionRefusedError" in caplog.text
    assert email(acme, "alice") not in caplog.text
    assert "/password/reset/key/" not in caplog.text


class Slow(EmailBackend):
    """A mail server that takes nothing before it is let."""

    let = threading.Event()

    def send_messages(self, email_messages: Any) -> int:
        self.let.wait(60)
        return int(super().send_messages(email_messages))


def ask(address: str, number: int) -> int:
    """Ask for a link from a place of its own; return how that was answered."""
    fields = {"email": address}
    return int(Client().post("/accounts/password/reset/", fields, REMOTE_ADDR=f"198.19.0.{number}").status_code)


def test_links_that_wait_are_only_so_many_and_word_of_changes_comes_through(acme: World, settings: Any) -> None:
    deliver()
    settings.EMAIL_BACKEND = f"{__name__}.Slow"
    try:
        assert ask(email(acme, "alice"), 0) == 302
        for number in range(1, letters.LINKS_WAITING):
            assert ask(f"nobody-{number}@nowhere.example", number) == 302
        assert (ask(email(acme, "bob"), 100), ask("nobody@nowhere.example", 101)) == (429, 429)
        letters.tell(User.objects.get(id=acme.rita.user_id), of="password_changed")
    finally:
        Slow.let.set()
    assert [letter.to for letter in deliver()] == [[email(acme, "alice")], [email(acme, "rita")]]
    assert ask(email(acme, "bob"), 102) == 302


def test_links_of_a_minute_are_only_so_many_over_all(acme: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(letters.LINKS, "links", "3/60s/key")
    answers = [ask(f"nobody-{number}@nowhere.example", number) for number in range(3)]
    assert [*answers, ask(email(acme, "alice"), 3), ask("nobody@nowhere.example", 4)] == [302, 302, 302, 429, 429]


def test_account_whose_provider_answers_for_it_no_more_may_have_a_link(acme: World) -> None:
    user = User.objects.get(id=acme.alice.user_id)
    user.set_unusable_password()
    SocialAccount.objects.create(user=user, provider=str(uuid4()), uid="sub-of-alice")
    assert letters.may_reset(user)


def test_where_mail_is_off_no_link_is_promised(settings: Any) -> None:
    settings.EMAIL_BACKEND = email_settings("off").backend
    place = "/accounts/password/reset/"
    for answer in (Client().get(place), Client().post(place, {"email": "ada@acme.example"})):
        assert answer.status_code == 200
        assert "sends no mail" in answer.content.decode()

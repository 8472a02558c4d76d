"""Where one is signed in, and how that ends."""

import time
from collections.abc import Callable
from datetime import timedelta

import pytest
from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone

from signin.sessions import browser_of
from tests.console.conftest import PASSWORD, email, signed_in
from tests.signin.people import actions, attempt, is_in, told_of
from tests.worlds import World

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


def session_of(client: Client) -> UserSession:
    found: UserSession = UserSession.objects.get(session_key=client.session.session_key)
    return found


def test_page_lists_where_and_with_what_one_is_signed_in(acme: World) -> None:
    signed_in(acme, "bob")
    there = Client(headers={"User-Agent": FIREFOX})
    attempt(email(acme, "alice"), PASSWORD, there, "203.0.113.5")
    shown = signed_in(acme, "alice").get("/accounts/").content.decode()
    assert "Firefox on Linux" in shown
    assert "203.0.113.5" in shown
    assert shown.count(">This one<") == 1
    assert shown.count("/end/") == 1


def test_ended_session_is_out_at_its_next_request(acme: World) -> None:
    here, there, third = (signed_in(acme, "alice") for _ in range(3))
    ended = session_of(there).id
    here.post(f"/accounts/sessions/{ended}/end/")
    assert (is_in(here), is_in(there), is_in(third)) == (True, False, True)
    assert there.get(f"/{acme.slug}/runs/").status_code == 302
    assert told_of(acme)[-1] == ("session.revoked", "ok", {"sessions": [ended]})


def test_all_others_end_at_once_with_one_record(acme: World) -> None:
    here, there, third = (signed_in(acme, "alice") for _ in range(3))
    here.post("/accounts/sessions/end-others/")
    assert (is_in(here), is_in(there), is_in(third)) == (True, False, False)
    assert actions(acme)[3:] == ["session.revoked"]
    here.post("/accounts/sessions/end-others/")
    assert actions(acme)[3:] == ["session.revoked"]


def test_ending_that_cannot_be_recorded_does_not_happen(acme: World, monkeypatch: pytest.MonkeyPatch) -> None:
    here, there = signed_in(acme, "alice"), signed_in(acme, "alice")
    here.raise_request_exception = False
    monkeypatch.setattr("audit.journal.record", fail)
    assert here.post("/accounts/sessions/end-others/").status_code == 500
    assert is_in(there)


def fail(*_: object, **__: object) -> None:
    raise RuntimeError("the journal is full")


def test_nobody_ends_anothers_session(acme: World) -> None:
    alice, bob = signed_in(acme, "alice"), signed_in(acme, "bob")
    theirs, none = session_of(alice).id, 999_999_999
    answers = [bob.post(f"/accounts/sessions/{each}/end/") for each in (theirs, none)]
    assert [answer.status_code for answer in answers] == [404, 404]
    assert answers[0].content == answers[1].content
    assert is_in(alice)


def test_ending_the_present_one_is_signing_out(acme: World) -> None:
    client = signed_in(acme, "alice")
    assert client.post(f"/accounts/sessions/{session_of(client).id}/end/")["Location"] == "/accounts/logout/"


def test_key_changes_at_sign_in(acme: World) -> None:
    client = Client()
    client.get("/accounts/login/", {"next": "/"})
    session = client.session
    session["planted"] = True
    session.save()
    before = session.session_key or ""
    client.cookies[settings.SESSION_COOKIE_NAME] = before
    attempt(email(acme, "alice"), PASSWORD, client)
    assert client.cookies[settings.SESSION_COOKIE_NAME].value != before
    stale = Client()
    stale.cookies[settings.SESSION_COOKIE_NAME] = before
    assert not is_in(stale)


def aged(client: Client, **ago_s: int) -> None:
    client.get("/accounts/")  # the first request begins the count
    session = client.session
    for name, seconds in ago_s.items():
        session[f"signin.{name}"] = int(time.time()) - seconds
    session.save()


@pytest.mark.parametrize(
    ("ago_s", "by"),
    [
        ({"seen": settings.SESSION_IDLE_S + 1}, "idle"),
        ({"since": settings.SESSION_MAX_AGE_S + 1}, "age"),
    ],
)
def test_session_ends_by_time_with_a_record(acme: World, ago_s: dict[str, int], by: str) -> None:
    client = signed_in(acme, "alice")
    aged(client, **ago_s)
    assert client.get(f"/{acme.slug}/runs/").status_code == 302
    assert told_of(acme)[-1] == ("login.ended", "ok", {"by": by})


def by_hand(client: Client, page: str) -> None:
    client.get(page, REMOTE_ADDR="203.0.113.99")


def by_itself(client: Client, page: str) -> None:
    client.get(page, {"shown": "digest"}, REMOTE_ADDR="203.0.113.99")


@pytest.mark.parametrize(("visit", "counts"), [(by_hand, True), (by_itself, False)])
def test_use_is_what_a_person_does(acme: World, visit: Callable[[Client, str], None], counts: bool) -> None:
    client = signed_in(acme, "alice")
    aged(client, seen=120)
    visit(client, f"/{acme.slug}/runs/")
    assert (session_of(client).ip == "203.0.113.99") is counts
    assert (client.session["signin.seen"] > int(time.time()) - 60) is counts


@pytest.mark.parametrize(
    ("user_agent", "words"),
    [
        (FIREFOX, "Firefox on Linux"),
        (
            "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/140.0 Safari/537.36",
            "Chrome on Windows",
        ),
        ("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/140 Safari/537.36 Edg/140.0", "Edge on Windows"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Safari/604.1", "Safari on iPhone"),
        ("Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 Chrome/140.0 Mobile Safari/537.36", "Chrome on Android"),
        ("", "Unknown browser"),
        ("<script>alert(1)</script>", "Unknown browser"),
    ],
)
def test_browsers_have_names(user_agent: str, words: str) -> None:
    assert browser_of(user_agent) == words


def test_sessions_that_are_over_are_forgotten_as_others_begin(acme: World) -> None:
    there, gone = signed_in(acme, "bob"), [session_of(signed_in(acme, "alice")) for _ in range(3)]
    over = timezone.now() - timedelta(seconds=settings.SESSION_MAX_AGE_S + 1)
    keys = [each.session_key for each in gone]
    UserSession.objects.exclude(session_key__in=[*keys, session_of(there).session_key]).delete()
    UserSession.objects.filter(session_key__in=keys).update(created_at=over)
    Session.objects.filter(session_key__in=keys).update(expire_date=over)
    abandoned = [Session(session_key=f"abandoned-{number}", session_data="", expire_date=over) for number in range(25)]
    Session.objects.bulk_create(abandoned)
    for _ in range(4):
        Client().get("/accounts/2fa/webauthn/login/", headers={"Accept": "application/json"})
    assert not Session.objects.filter(expire_date__lte=over).exists()
    assert not UserSession.objects.filter(session_key__in=keys).exists()
    assert is_in(there)

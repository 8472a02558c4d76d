"""Coming in and leaving: one record each, and nobody comes in, or leaves, when that cannot be written."""

from django.test import Client

from db.scope import PLATFORM
from tests.console.conftest import PASSWORD, acme, email, signed_in
from tests.journal.conftest import Failing
from tests.signin.people import actions, attempt, is_in, told
from tests.worlds import World

__all__ = ["acme"]


def browser() -> Client:
    """Return a browser that sees the error page."""
    return Client(raise_request_exception=False)


def test_who_comes_in_is_recorded_or_stays_outside(acme: World, failing: Failing) -> None:
    alice = browser()
    with failing():
        assert attempt(email(acme, "alice"), PASSWORD, alice).status_code >= 500
    assert not is_in(alice)
    assert actions(acme) == []

    assert attempt(email(acme, "alice"), PASSWORD, alice).status_code == 302
    assert is_in(alice)
    assert actions(acme) == ["login.succeeded"]


def test_a_wrong_password_is_recorded_once(acme: World, failing: Failing) -> None:
    with failing():
        assert attempt(email(acme, "alice"), "a wrong one", browser()).status_code >= 500
    assert actions(acme) == []

    assert attempt(email(acme, "alice"), "a wrong one", browser()).status_code == 200
    assert actions(acme) == ["login.failed"]


def test_an_address_nobody_has_goes_to_the_platforms_own_journal(acme: World) -> None:
    before = len(told(PLATFORM, PLATFORM))
    attempt(f"nobody@{acme.slug}.example", PASSWORD)

    assert [(action, outcome) for action, outcome, _ in told(PLATFORM, PLATFORM)[before:]] == [
        ("login.failed", "denied")
    ]


def test_who_leaves_is_recorded_or_stays(acme: World, failing: Failing) -> None:
    alice = signed_in(acme, "alice")
    alice.raise_request_exception = False
    with failing():
        assert alice.post("/accounts/logout/").status_code >= 500
    assert is_in(alice)
    assert actions(acme) == ["login.succeeded"]

    alice.post("/accounts/logout/")
    assert not is_in(alice)
    assert actions(acme) == ["login.succeeded", "login.ended"]

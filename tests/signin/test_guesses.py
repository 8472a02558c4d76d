"""Guessing comes to an end, and shuts nobody out."""

from typing import Any

import pytest
from django.test import Client

from db.scope import PLATFORM
from tests.console.conftest import PASSWORD, email, signed_in
from tests.signin.people import add_totp, attempt, code, everything, is_in, new_password_by_link, told, told_of
from tests.worlds import World

REFUSED = "Too many failed login attempts"


def guess(world: World, times: int, *, apart: bool = True) -> list[bool]:
    """Guess at Alice's password, each time from another address if `apart`; returns which ones were looked at."""
    answers = (
        attempt(
            email(world, "alice"), f"guess {number}", address=f"198.51.{number // 250}.{number % 250 if apart else 1}"
        )
        for number in range(times)
    )
    return [REFUSED not in answer.content.decode() for answer in answers]


@pytest.mark.parametrize("times", [100, pytest.param(1000, marks=pytest.mark.large)])
def test_guesses_from_everywhere_come_to_an_end(acme: World, times: int) -> None:
    looked_at = guess(acme, times)
    assert looked_at == [True] * 20 + [False] * (times - 20)
    records = [action for action, _, _ in told_of(acme)]
    assert records == ["login.failed"] * 20 + ["login.throttled"]


def test_address_and_account_together_have_less(acme: World) -> None:
    assert guess(acme, 12, apart=False) == [True] * 5 + [False] * 7
    assert told_of(acme)[-1] == (
        "login.throttled",
        "denied",
        {"step": "password", "budget": "address_and_account"},
    )


def test_owner_comes_in_from_a_browser_the_account_is_known_from(acme: World) -> None:
    owner = signed_in(acme, "alice")
    owner.post("/accounts/logout/")
    guess(acme, 40)
    attempt(email(acme, "alice"), PASSWORD, owner)
    assert is_in(owner)


def test_owner_from_a_new_browser_waits_or_comes_by_the_link(acme: World) -> None:
    guess(acme, 40)
    owner = Client()
    assert REFUSED in attempt(email(acme, "alice"), PASSWORD, owner, "203.0.113.9").content.decode()
    new_password_by_link(acme, "alice", "another horse that signs", owner)
    attempt(email(acme, "alice"), "another horse that signs", owner, "203.0.113.9")
    assert is_in(owner)


def test_neighbours_behind_the_address_come_in_where_they_signed_in_before(acme: World) -> None:
    rita = signed_in(acme, "rita")
    rita.post("/accounts/logout/")
    for number in range(40):
        attempt(f"somebody-{number}@nowhere.example", "guess", address="203.0.113.7")
    assert REFUSED in attempt(email(acme, "bob"), PASSWORD, address="203.0.113.7").content.decode()
    attempt(email(acme, "rita"), PASSWORD, rita, "203.0.113.7")
    assert is_in(rita)


def test_known_browser_has_a_budget_of_its_own_and_no_more(acme: World) -> None:
    owner = signed_in(acme, "alice")
    owner.post("/accounts/logout/")
    answers = [attempt(email(acme, "alice"), "guess", owner).content.decode() for _ in range(25)]
    assert [REFUSED in answer for answer in answers] == [False] * 20 + [True] * 5
    elsewhere = Client()
    attempt(email(acme, "alice"), PASSWORD, elsewhere)
    assert is_in(elsewhere)


def test_browser_known_to_one_account_is_a_stranger_to_another(acme: World) -> None:
    bob = signed_in(acme, "bob")
    bob.post("/accounts/logout/")
    answers = [attempt(email(acme, "alice"), "guess", bob).content.decode() for _ in range(6)]
    assert REFUSED in answers[-1]


@pytest.mark.parametrize("forged", ["", "nonsense", "eyJhIjoiYiJ9:1abc:xyz"])
def test_forged_cookie_makes_no_browser_known(acme: World, forged: str) -> None:
    client = Client()
    client.cookies["known"] = forged
    answers = [attempt(email(acme, "alice"), "guess", client).content.decode() for _ in range(6)]
    assert REFUSED in answers[-1]


def test_cookie_is_kept_from_scripts_and_from_other_pages(acme: World) -> None:
    cookie = signed_in(acme, "alice").cookies["known"]
    assert cookie["httponly"]
    assert (cookie["samesite"], cookie["path"]) == ("Lax", "/accounts/")
    assert str(acme.alice.user_id) not in cookie.value
    assert int(cookie["max-age"]) == 365 * 24 * 3600


def test_right_passwords_use_nothing_up(acme: World) -> None:
    for _ in range(8):
        attempt(email(acme, "alice"), PASSWORD)
    assert [action for action, _, _ in told_of(acme)] == ["login.succeeded"] * 8


def test_accounts_nobody_has_are_bounded_alike_and_told_once(database: None) -> None:
    before = len(told(PLATFORM, PLATFORM))
    answers = [attempt("nobody-here@nowhere.example", "guess").content.decode() for _ in range(8)]
    assert [REFUSED in answer for answer in answers] == [False] * 5 + [True] * 3
    actions = [action for action, _, _ in told(PLATFORM, PLATFORM)[before:]]
    assert actions == ["login.failed"] * 5 + ["login.throttled"]


def test_guessing_at_the_present_password_of_an_open_session_is_bounded(acme: World) -> None:
    client = signed_in(acme, "alice")
    fields = {"oldpassword": "guess", "password1": "x" * 20, "password2": "x" * 20}
    for _ in range(10):
        client.post("/accounts/password/change/", fields)
        client.post("/accounts/reauthenticate/", {"password": "guess"})
    assert REFUSED in client.post("/accounts/reauthenticate/", {"password": PASSWORD}).content.decode()


def test_codes_are_bounded_and_a_known_browser_is_left_alone(acme: World) -> None:
    owner = signed_in(acme, "alice")
    secret, _ = add_totp(owner)
    owner.post("/accounts/logout/")
    thief = Client()
    attempt(email(acme, "alice"), PASSWORD, thief, "198.51.100.1")
    answers = [
        thief.post("/accounts/2fa/authenticate/", {"code": f"{number:06}"}, REMOTE_ADDR="198.51.100.1").content.decode()
        for number in range(8)
    ]
    assert [REFUSED in answer for answer in answers] == [False] * 5 + [True] * 3
    attempt(email(acme, "alice"), PASSWORD, owner)
    owner.post("/accounts/2fa/authenticate/", {"code": code(secret)})
    assert is_in(owner)


def test_only_the_trusted_proxys_word_counts(acme: World) -> None:
    forged = [
        Client().post(
            "/accounts/login/",
            {"login": email(acme, "alice"), "password": "guess"},
            headers={"X-Forwarded-For": f"198.51.100.{number}"},
        )
        for number in range(6)
    ]
    assert REFUSED in forged[-1].content.decode()


def test_trusted_proxys_word_does(acme: World, settings: Any) -> None:
    settings.TRUST_PROXY = 1
    for number in range(6):
        answer = Client().post(
            "/accounts/login/",
            {"login": email(acme, "alice"), "password": "guess"},
            headers={"X-Forwarded-For": f"10.0.0.1, 198.51.100.{number}"},
        )
        assert REFUSED not in answer.content.decode()
    assert '"198.51.100.5"' in everything(acme.tenant_id)

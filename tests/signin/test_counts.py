"""Counts stay for their time, whatever is counted beside them, and no longer."""

import threading
from collections.abc import Iterator

import pytest
from django.core.cache import cache
from django.db import connection, connections

from tests.console.conftest import PASSWORD, email, signed_in
from tests.signin.people import add_totp, attempt, code, is_in
from tests.signin.test_guesses import REFUSED, guess
from tests.worlds import World

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture(autouse=True)
def _nothing_counted(database: None) -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()


def rows() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM signin_count")
        (found,) = cursor.fetchone()
    return int(found)


def flood(times: int = 1000) -> None:
    """Count what as many other logins would leave."""
    for number in range(times):
        cache.set(f"allauth:rl:signin:account:20/3600s:other-{number}", [1.5] * 5, 3600)


def test_other_logins_free_nobodys_budget(acme: World) -> None:
    assert guess(acme, 30) == [True] * 20 + [False] * 10
    for number in range(25):
        attempt(f"nobody-{number}@nowhere.example", "guess", address=f"198.18.0.{number}")
    flood()
    assert rows() > 1000
    answer = attempt(email(acme, "alice"), PASSWORD, address="203.0.113.80").content.decode()
    assert REFUSED in answer


def test_used_code_stays_used(acme: World) -> None:
    browser = signed_in(acme, "alice")
    secret, _ = add_totp(browser)
    browser.post("/accounts/logout/")
    shown = code(secret)
    attempt(email(acme, "alice"), PASSWORD, browser)
    browser.post("/accounts/2fa/authenticate/", {"code": shown})
    assert is_in(browser)
    browser.post("/accounts/logout/")
    flood()
    cache.delete(f"allauth.mfa.totp.used?user={acme.alice.user_id}&code={shown}")  # as half a minute later
    attempt(email(acme, "alice"), PASSWORD, browser)
    browser.post("/accounts/2fa/authenticate/", {"code": shown})
    assert not is_in(browser)


def test_links_stay_counted(acme: World) -> None:
    fields = {"email": email(acme, "alice")}
    client = signed_in(acme, "bob")
    client.post("/accounts/logout/")
    answers = [client.post("/accounts/password/reset/", fields).status_code for _ in range(6)]
    flood()
    answers.append(client.post("/accounts/password/reset/", fields).status_code)
    assert answers == [302] * 5 + [429] * 2


def test_what_is_over_is_forgotten_and_swept() -> None:
    for number in range(30):
        cache.set(f"over-{number}", 1, 60)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE signin_count SET expires_at = now() - interval '1 second'")
    assert cache.get("over-3") is None
    before = rows()
    assert cache.add("over-3", 2, 60)
    for number in range(3):
        cache.set(f"more-{number}", 1, 60)
    assert (before, rows()) == (30, 4)
    assert cache.get_many(["over-3", "more-1", "over-4"]) == {"over-3": 2, "more-1": 1}
    cache.set("over-at-once", 1, 0)
    assert cache.get("over-at-once") is None


def test_adding_is_for_the_first_of_many() -> None:
    first: list[bool] = []

    def add() -> None:
        first.append(cache.add("one", 1, 60))
        connections.close_all()

    threads = [threading.Thread(target=add) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(first) == [False] * 7 + [True]


def test_is_a_cache_as_any_other() -> None:
    assert cache.get("there", "nothing") == "nothing"
    cache.set("there", [1760000000.123456, 2], None)
    assert cache.get("there") == [1760000000.123456, 2]
    assert (cache.touch("there", 60), cache.touch("nowhere", 60)) == (True, False)
    assert (cache.incr("number", 1) if cache.add("number", 1) else 0) == 2
    assert (cache.delete("there"), cache.delete("there")) == (True, False)
    cache.clear()
    assert rows() == 0


def test_keys_name_nobody(acme: World) -> None:
    attempt(email(acme, "alice"), "guess", address="203.0.113.81")
    with connection.cursor() as cursor:
        cursor.execute("SELECT string_agg(encode(key, 'escape') || value, ' ') FROM signin_count")
        (kept,) = cursor.fetchone()
    assert "203.0.113" not in kept
    assert acme.slug not in kept

"""Keys that do not fit have a budget of their own, and nobody is locked out by another's guesses."""

import pytest
from pytest_django import Settings

from quotas import guesses, rates
from quotas.errors import RateLimited
from tenants.errors import BadKey

pytestmark = pytest.mark.usefixtures("counts")

GOOD = "cs_good"


@pytest.fixture(autouse=True)
def _three_an_hour(counts: str, settings: Settings) -> None:
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "failures": (3, 3600)}
    rates.forget()


def use(key: str, address: str = "192.0.2.7", *, good: bool = False) -> str:
    try:
        with guesses.limited(address, key):
            if key != GOOD and not good:
                raise BadKey
    except (BadKey, RateLimited) as error:
        return error.code
    return "in"


def test_an_address_has_few_guesses() -> None:
    assert [use(f"cs_{guess}") for guess in range(5)] == ["bad_key"] * 3 + ["rate_limited"] * 2
    assert use("cs_other", "192.0.2.8") == "bad_key"


def test_when_they_are_used_up_a_right_guess_is_refused_like_a_wrong_one() -> None:
    for guess in range(3):
        use(f"cs_{guess}")

    assert use(GOOD) == "rate_limited"
    assert use(GOOD, "192.0.2.8") == "in"


def test_a_key_that_worked_goes_on_working_beside_one_who_guesses() -> None:
    assert use(GOOD) == "in"
    for guess in range(5):
        use(f"cs_{guess}")

    assert use(GOOD) == "in"


def test_a_key_that_works_costs_nothing() -> None:
    assert [use(GOOD) for _ in range(10)] == ["in"] * 10
    assert use("cs_0") == "bad_key"


def test_a_key_that_no_longer_works_is_a_guess() -> None:
    use("cs_once", good=True)

    assert [use("cs_once") for _ in range(5)] == ["bad_key"] * 3 + ["rate_limited"] * 2


def test_only_so_many_keys_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guesses, "REMEMBERED", 10)
    for key in range(30):
        use(f"cs_{key}", good=True)

    assert len(guesses._good) == 10

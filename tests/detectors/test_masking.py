"""What is left of texts and JSON when masks are in place."""

from typing import Any

import pytest

from detectors.finding import Finders, Found
from detectors.masking import masked, masker
from tests.detectors.test_finding import EVERYTHING


def test_what_overlaps_shares_a_mask_named_after_the_longest() -> None:
    assert (
        masked("abcdefghij", [Found("email", 2, 5), Found("secrets", 1, 8), Found("phone", 8, 9)])
        == "a[secrets][phone]j"
    )


def test_json_is_masked_in_texts_names_and_long_numbers_and_keeps_the_rest() -> None:
    value = {
        "to": ["ada@acme.example", 1, None, True, 2.5],
        "card": 4111111111111111,
        "bob@acme.example": {"n": 10**12},
    }
    assert masker(EVERYTHING)(value) == {
        "to": ["[email]", 1, None, True, 2.5],
        "card": "[credit_card]",
        "[email]": {"n": 10**12},
    }


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ({"password": "Tr0ub4dor3xyz"}, {"password": "[secrets]"}),
        ({"api_key": "a8f5f167f44f4964e6c998dee827110c"}, {"api_key": "[secrets]"}),
        ({"db": [{"clientSecret:": "it's me"}, {"CLIENT-SECRET": '"Tr0ub4dor3xyz"'}]},
         {"db": [{"clientSecret:": "it's me"}, {"CLIENT-SECRET": '"[secrets]"'}]}),
        ({"smtp_passwd": "Tr0ub4dor3xyz (old)"}, {"smtp_passwd": "[secrets] (old)"}),
        ({"pass\u200bword": "Tr0\u200bub4dor3xyz"}, {"pass\u200bword": "[secrets]"}),
    ],
)  # fmt: skip
def test_a_member_whose_name_says_that_it_holds_a_credential_is_masked(value: Any, told: Any) -> None:
    assert masker(EVERYTHING)(value) == told


@pytest.mark.parametrize(
    "value",
    [
        {"password": "required", "secret": "see the manual, page 12345678", "api_key": None, "pwd": "abc123"},
        {"password": {"hint": "Tr0ub4dor3xyz"}, "passwords": "Tr0ub4dor3xyz", "password_changed": "2026-11-22T10:00"},
        {"note": "password", "id": "a8f5f167f44f4964"},
        ["password", "Tr0ub4dor3xyz"],
        {"order": "a8f5f167f44f4964e6c998dee827110c", "secretary": "a8f5f167f44f"},
    ],
)
def test_what_only_stands_near_such_a_name_stays(value: Any) -> None:
    assert masker(EVERYTHING)(value) == value


def test_passwords_stay_when_nobody_looks_for_credentials() -> None:
    assert masker(Finders(("email",)))({"password": "Tr0ub4dor3xyz"}) == {"password": "Tr0ub4dor3xyz"}


def test_a_card_number_written_as_a_float_is_masked_and_other_floats_stay() -> None:
    value = {"card": 4111111111111111.0, "same": 4.111111111111111e15, "rest": [4111111111111112.0, 1e300, 1e9, 0.5]}
    assert masker(EVERYTHING)(value) == {
        "card": "[credit_card]",
        "same": "[credit_card]",
        "rest": [4111111111111112.0, 1e300, 1e9, 0.5],
    }
    assert masker(EVERYTHING)([float("inf"), float("-inf")]) == [float("inf"), float("-inf")]


def test_members_whose_names_become_the_same_stay_apart() -> None:
    value = {"ada@acme.example": 1, "bob@acme.example": 2, "eve@acme.example": 3}
    assert masker(EVERYTHING)(value) == {"[email]": 1, "[email] 2": 2, "[email] 3": 3}


def test_what_needs_no_mask_is_the_very_same_value() -> None:
    value = {"a": ["text", 1]}
    assert masker(EVERYTHING)(value) is value

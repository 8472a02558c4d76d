"""What is left of texts and JSON when masks are in place."""

from detectors.finding import Found
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

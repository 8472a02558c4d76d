"""What a model said comes back exactly, by way of `agents.core.exact` and canonical form."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.core.exact import disclose, enclose
from audit.canonical import canonical

Json = Any

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
keys = texts | st.sampled_from(["json", "\U00010000", "\ue000"])
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
)


def journey(value: Json) -> Json:
    """Enclose, write as a payload, read, disclose."""
    return disclose(json.loads(canonical(enclose(value))))


@given(values)
def test_every_value_comes_back_exactly(value: Json) -> None:
    back = journey(value)

    assert back == value
    assert json.dumps(back, sort_keys=True) == json.dumps(value, sort_keys=True)  # 1 is not 1.0 here


@given(values)
def test_a_value_under_the_name_of_the_mark_comes_back_exactly(value: Json) -> None:
    marked = {"json": value}

    assert journey(marked) == marked
    assert journey({"json": marked}) == {"json": marked}
    assert journey([marked]) == [marked]


@pytest.mark.parametrize(
    "value",
    [{"json": "1.0"}, {"json": "{"}, {"json": '{"json":1}'}, {"json": None}, {"json": 1.0}, {"json": 1, "x": 2}],
)
def test_a_value_that_looks_enclosed_is_not_taken_for_it(value: Json) -> None:
    assert journey(value) == value


@pytest.mark.parametrize("value", [1.0, -0.0, 1e21, 5e-324, 2**53 + 1, 10**400, [1, {"a": 0.1}]])
def test_numbers_keep_their_kind_and_digits(value: Json) -> None:
    assert repr(journey(value)) == repr(value)


@pytest.mark.parametrize("value", ["text", {"a": [1, "b", None, True]}, [], {}])
def test_what_canonical_form_keeps_is_not_wrapped(value: Json) -> None:
    assert enclose(value) == value

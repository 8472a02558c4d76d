"""Canonical JSON is told from any other, the fast way and the exact way."""

import json
import subprocess
import sys

import pytest
from django.conf import settings
from hypothesis import given
from hypothesis import strategies as st

from audit.canonical import canonical
from audit.verify import strict

TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=10,
)


@given(VALUES)
def test_what_is_canonical_is_read(value: object) -> None:
    text = canonical(value)

    assert canonical(strict.read_canonical(text.encode())) == text


@given(VALUES)
def test_and_nothing_else_is(value: object) -> None:
    text = canonical(value)
    for other in (json.dumps(value), json.dumps(value, indent=1), json.dumps(value, ensure_ascii=False)):
        if other != text:
            with pytest.raises(ValueError, match=r".+"):
                strict.read_canonical(other.encode())


@pytest.mark.parametrize(
    "text",
    [
        "",
        " 1",
        "1 ",
        "01",
        "-0",
        "1.0",
        "1e2",
        "1E400",
        "NaN",
        "Infinity",
        "10000000000000000000000",
        "9007199254740993",
        '{"b":1,"a":2}',
        '{"a":1,"a":1}',
        '{"a": 1}',
        '"\\u0041"',
        '"\\/"',
        '"\\ud800"',
        '"\x7f\t"',
        "[1,]",
        "[1",
        "[" * 100_000,
        '{"\U0001f600":1,"\ufb01":2}',
        '{"\ufb01":2,"\U0001f600":1}'.replace("2", "3 "),
    ],
)
def test_other_spellings_are_refused(text: str) -> None:
    try:
        strict.read_canonical(text.encode())
    except ValueError:
        return
    assert canonical(json.loads(text)) == text, text


def test_keys_are_in_the_order_of_utf_16() -> None:
    assert strict.read_canonical('{"\U0001f600":1,"\ufb01":2}'.encode()) == {"\U0001f600": 1, "\ufb01": 2}
    with pytest.raises(ValueError, match="RFC 8785"):
        strict.read_canonical('{"\ufb01":2,"\U0001f600":1}'.encode())


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(ValueError, match=r".+"):
        strict.read_canonical(b'"\xff"')


PARALLEL = """
from audit.verify.parallel import WORTH_IT, mapped
batches = [[number, number + 1] for number in range(40)]
assert list(mapped(sum, batches, leaves=WORTH_IT)) == list(mapped(sum, batches, leaves=1)) == list(map(sum, batches))
"""


def test_many_leaves_are_checked_by_all_cores_in_their_order() -> None:
    subprocess.run([sys.executable, "-W", "error", "-c", PARALLEL], cwd=settings.BASE_DIR, check=True)

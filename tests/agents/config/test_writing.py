"""YAML out: what is written reads back as the same, here and with other readers."""

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from agents.config.reading import read
from agents.config.writing import document, written

Json = Any

# Half surrogates are no characters, and no JSON either.
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda below: st.lists(below, max_size=4) | st.dictionaries(TEXTS, below, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(TEXTS, VALUES, max_size=5))
def test_everything_reads_back(value: Json) -> None:
    (text,) = read(written({"spec": value}), "a.yaml")

    assert text.value == {"spec": value}


@pytest.mark.parametrize("text", ["no", "12:30", "2026-01-01", "0o10", "1e3", "null", "", "~", "<<", "=", " a", "a: b"])
def test_older_readers_agree(text: str) -> None:
    assert yaml.safe_load(written({"a": text})) == {"a": text}


def test_it_is_pleasant_to_read() -> None:
    spec = {
        "description": "Two\nlines.\n",
        "tools": ["a", "b"],
        "limits": {"usd": "0.50", "turns": 5},
        "fallback": None,
    }

    assert written(document("Agent", "loan", spec)) == (
        "apiVersion: countersign/v1\n"
        "kind: Agent\n"
        "metadata:\n"
        "  name: loan\n"
        "spec:\n"
        "  description: |\n"
        "    Two\n"
        "    lines.\n"
        "  tools:\n"
        "    - a\n"
        "    - b\n"
        "  limits:\n"
        '    usd: "0.50"\n'
        "    turns: 5\n"
        "  fallback: null\n"
    )

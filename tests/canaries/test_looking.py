"""The canaries' finder finds them: one that never does would prove nothing."""

import base64

import pytest

from tests.canaries.looking import found

CANARY = "Bird/4f9c+7d21=Zq&x"


@pytest.mark.parametrize(
    "text",
    [
        CANARY,
        CANARY.upper(),
        CANARY[:10],
        CANARY[-10:],
        base64.b64encode(b"ab" + CANARY.encode() + b"cd").decode(),
        CANARY.encode().hex(),
        "Bird%2F4f9c%2B7d21%3DZq%26x",
        "Bird/4f9c+7d21=Zq&amp;x",
    ],
)
def test_a_canary_is_found(text: str) -> None:
    assert found([CANARY], f"before {text} after")


def test_nothing_is_found_where_none_is() -> None:
    assert not found([CANARY], "[redacted] and a bird")

"""Amounts as people write them."""

import pytest

from agents.core.money import from_usd, to_usd


@pytest.mark.parametrize(
    ("text", "nano"), [("0", 0), ("0.50", 500_000_000), (3, 3 * 10**9), ("12.000000001", 12_000_000_001)], ids=str
)
def test_an_amount_is_read_to_the_nano(text: str | int, nano: int) -> None:
    assert from_usd(text) == nano
    assert from_usd(to_usd(nano)) == nano


@pytest.mark.parametrize(
    "text",
    ["", "-1", "+1", "1,5", "1.", ".5", "1e3", "1e900000", "1e9999999", "NaN", "Infinity", "٣", "1.0000000001", -1],
)
def test_what_is_no_amount_is_refused_at_once(text: str | int) -> None:
    with pytest.raises(ValueError, match="is no amount"):
        from_usd(text)

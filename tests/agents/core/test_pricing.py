"""What tokens cost."""

from datetime import date

import pytest

from agents.core.model import Usage
from agents.core.pricing import BadPriceTable, PriceTable, cost, is_estimated, shipped, tokens_at_most, upper_bound
from agents.providers.catalogue import shipped_models
from tests.agents.providers.conversations import ask

DAY = date(2026, 11, 1)
TABLE = """
- {model: a, from: 2026-01-01, input: 5, output: 25, cache_read: 0.5, cache_write_5m: 6.25, cache_write_1h: 10}
- {model: a, from: 2026-06-01, input: 4, output: 20, cache_read: 0.4, cache_write_5m: 5, cache_write_1h: 8}
- {model: b, from: 2026-01-01, input: 1, output: 99, cache_read: 0.001, cache_write_5m: 1.25, cache_write_1h: 2}
"""


def test_each_kind_of_token_has_its_price() -> None:
    price = PriceTable.parse(TABLE).price("a", date(2026, 1, 1))

    assert price.of(Usage(1, 0, 0, 0)) == 5_000
    assert price.of(Usage(0, 1, 0, 0)) == 25_000
    assert price.of(Usage(0, 0, 1, 0)) == 500
    assert price.of(Usage(0, 0, 0, 1)) == 6_250
    assert price.of(Usage(0, 0, 0, 3, 2)) == 6_250 + 2 * 10_000
    assert price.of(Usage(10**12, 10**12)) == 30_000 * 10**12


TIERS = """
- {model: a, from: 2026-01-01, input: 5, output: 25, cache_read: 0.5, cache_write_5m: 6.25, cache_write_1h: 10}
- {model: a, from: 2026-06-01, input: 5, output: 25, cache_read: 0.5, cache_write_5m: 6.25, cache_write_1h: 10,
   batch: 0.5,
   long_context: {above: 200, input: 10, output: 37.5, cache_read: 1, cache_write_5m: 12.5, cache_write_1h: 20}}
"""


def test_all_of_a_call_costs_more_when_its_input_is_long() -> None:
    price = PriceTable.parse(TIERS).price("a", date(2026, 6, 1))

    assert price.of(Usage(100, 10, 50, 50)) == 100 * 5_000 + 10 * 25_000 + 50 * 500 + 50 * 6_250
    assert price.of(Usage(101, 10, 50, 50)) == 101 * 10_000 + 10 * 37_500 + 50 * 1_000 + 50 * 12_500


def test_a_call_in_a_batch_costs_its_share_from_the_day_of_its_entry() -> None:
    table = PriceTable.parse(TIERS)

    assert table.price("a", date(2026, 6, 1)).of(Usage(10, 10), batch=True) == (10 * 5_000 + 10 * 25_000) // 2
    assert table.price("a", date(2026, 6, 1)).of(Usage(201, 0), batch=True) == 201 * 5_000
    assert table.price("a", date(2026, 5, 31)).of(Usage(10, 10), batch=True) == 10 * 5_000 + 10 * 25_000


def test_an_unknown_model_is_charged_at_the_dearest_tier() -> None:
    assert PriceTable.parse(TIERS).price("b", date(2026, 6, 1)).output == 37_500


@pytest.mark.parametrize(
    "wrong",
    [
        "batch: half",
        "batch: 0",
        "batch: 2",
        "long_context: 200",
        "long_context: {above: 200, input: 1}",
        "long_context: {above: no, input: 1, output: 1, cache_read: 1, cache_write_5m: 1, cache_write_1h: 1}",
        "short_context: {}",
    ],
)
def test_a_tier_that_is_none_is_refused(wrong: str) -> None:
    rates = "input: 1, output: 1, cache_read: 1, cache_write_5m: 1, cache_write_1h: 1"
    with pytest.raises(BadPriceTable):
        PriceTable.parse(f"- {{model: a, from: 2026-01-01, {rates}, {wrong}}}")


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        (date(2020, 1, 1), 5_000),
        (date(2026, 5, 31), 5_000),
        (date(2026, 6, 1), 4_000),
        (date(2030, 1, 1), 4_000),
    ],
)
def test_the_price_of_the_day_holds(day: date, expected: int) -> None:
    assert PriceTable.parse(TABLE).price("a", day).input == expected


def test_a_dated_snapshot_costs_what_its_model_costs() -> None:
    table = PriceTable.parse(TABLE)

    assert table.price("a-20260101", DAY) == table.price("a", DAY)


def test_an_unknown_model_is_charged_at_the_dearest_rates_and_marked() -> None:
    price = PriceTable.parse(TABLE).price("c", date(2026, 7, 1))

    assert price.estimated
    assert (price.input, price.output, price.cache_read, price.cache_write_5m) == (4_000, 99_000, 400, 5_000)


def test_the_shipped_table_lists_every_shipped_model() -> None:
    assert [model.id for model in shipped_models() if is_estimated(model.id, DAY)] == []
    assert is_estimated("claude-nobody-9", DAY)
    assert cost(Usage(1_000_000), "claude-nobody-9", DAY) >= cost(Usage(1_000_000), "claude-opus-4-7", DAY) > 0


def test_the_upper_bound_is_above_every_usage_of_that_size() -> None:
    bound = upper_bound(1000, 500, "claude-opus-4-7", DAY)

    assert bound >= cost(Usage(1000, 500), "claude-opus-4-7", DAY)
    assert bound >= cost(Usage(0, 500, 0, 1000), "claude-opus-4-7", DAY)
    assert bound >= cost(Usage(0, 500, 1000, 0), "claude-opus-4-7", DAY)


def test_the_guess_of_tokens_grows_with_everything_that_is_sent() -> None:
    small = tokens_at_most(ask("x"))

    assert 0 < small < tokens_at_most(ask("x", system="more")) < tokens_at_most(ask("x" * 10_000))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "list of prices"),
        ("[]", "empty"),
        ("{", "not YAML"),
        ("- {model: a}", "Price 1: needs exactly"),
        (TABLE + TABLE.splitlines()[1], "Price 4: a has two prices from 2026-01-01"),
        (TABLE.replace("0.001", "0.0001"), "Price 3: `cache_read`"),
        (TABLE.replace("99", "-1"), "Price 3: `output`"),
        (TABLE.replace("99", "'many'"), "Price 3: `output` is not a number"),
        (TABLE.replace("99", ".inf"), "Price 3: `output` is not a number"),
        (TABLE.replace("2026-06-01", "soon"), "Price 2: `model` is a name and `from` a date"),
    ],
)
def test_a_bad_table_is_refused_with_its_place(text: str, reason: str) -> None:
    with pytest.raises(BadPriceTable, match=reason):
        PriceTable.parse(text)


def test_the_table_is_read_once() -> None:
    assert shipped() is shipped()

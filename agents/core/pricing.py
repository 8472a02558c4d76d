"""What tokens cost. Pure: integer arithmetic in nano-USD (10^-9 USD); the table is data (`prices.yaml`).

A price of one USD per million tokens is exactly 1,000 nano-USD per token, so no sum is ever rounded.
"""

import functools
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from importlib import resources
from typing import Any

import yaml

from agents.core.model import ModelRequest, Usage

_NANO_PER_TOKEN = 1_000
_DATED_SNAPSHOT = re.compile(r"-\d{8}$")
_RATES = ("input", "output", "cache_read", "cache_write_5m", "cache_write_1h")
_MORE = ("long_context", "batch")
# What a request's JSON is at most worth: tokens average over three bytes of it, dense text comes down to two.
BYTES_PER_TOKEN = 2


class BadPriceTable(Exception):
    """The price table cannot be used; the message says where and why."""


@dataclass(frozen=True, slots=True)
class Price:
    """Nano-USD per token, each ≥ 0.

    effective_from: the first day it holds. estimated: the model is not in the table; this is the dearest rate of each
        kind that is.
    long: the rates of a call with more than `long_above` tokens of input, cached or not; None when there are no others.
    batch_permille: what a call in a batch costs, in thousandths of the same outside one.
    """

    effective_from: date
    input: int
    output: int
    cache_read: int
    cache_write_5m: int
    cache_write_1h: int
    estimated: bool = False
    long: "Price | None" = None
    long_above: int = 0
    batch_permille: int = 1000

    def of(self, usage: Usage, *, batch: bool = False) -> int:
        """Return what the usage of one call costs, in nano-USD; in a batch rounded up to the nano."""
        asked = usage.input_tokens + usage.cache_read_input_tokens + usage.cache_creation_input_tokens
        whole = self.at(asked)._sum(usage)
        return -(-whole * self.batch_permille // 1000) if batch else whole

    def at(self, input_tokens: int) -> "Price":
        """Return the rates of a call with so much input, cached or not: beyond a bound all of it costs more."""
        return self.long if self.long is not None and input_tokens > self.long_above else self

    def _sum(self, usage: Usage) -> int:
        written_5m = usage.cache_creation_input_tokens - usage.cache_creation_1h_input_tokens
        return (
            usage.input_tokens * self.input
            + usage.output_tokens * self.output
            + usage.cache_read_input_tokens * self.cache_read
            + written_5m * self.cache_write_5m
            + usage.cache_creation_1h_input_tokens * self.cache_write_1h
        )


class PriceTable:
    """Prices by model and day."""

    def __init__(self, prices: Mapping[str, Iterable[Price]]) -> None:
        self._prices = {model: sorted(each, key=lambda price: price.effective_from) for model, each in prices.items()}
        if not self._prices:
            raise BadPriceTable("The price table is empty.")

    @classmethod
    def parse(cls, text: str) -> "PriceTable":
        """Read a table in the form of `prices.yaml`. Raises `BadPriceTable`."""
        try:
            entries = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise BadPriceTable(f"The price table is not YAML: {error}") from error
        if not isinstance(entries, list):
            raise BadPriceTable("The price table is a list of prices.")
        prices: dict[str, list[Price]] = {}
        for number, entry in enumerate(entries, start=1):
            model, price = _entry(number, entry)
            if any(other.effective_from == price.effective_from for other in prices.get(model, ())):
                raise BadPriceTable(f"Price {number}: {model} has two prices from {price.effective_from}.")
            prices.setdefault(model, []).append(price)
        return cls(prices)

    def price(self, model: str, on: date) -> Price:
        """Return the price of a model on a day; before its first entry that one holds."""
        known = self._prices.get(model) or self._prices.get(_DATED_SNAPSHOT.sub("", model))
        if known is None:
            return self._dearest(on)
        return max((price for price in known if price.effective_from <= on), default=known[0], key=_effective_from)

    def listed(self, model: str) -> str:
        """Return the name that the table lists the model by, or "other"."""
        return next((name for name in (model, _DATED_SNAPSHOT.sub("", model)) if name in self._prices), "other")

    def _dearest(self, on: date) -> Price:
        listed = [self.price(model, on) for model in self._prices]
        each = [*listed, *(price.long for price in listed if price.long is not None)]
        rates: dict[str, Any] = {rate: max(getattr(price, rate) for price in each) for rate in _RATES}
        return Price(effective_from=on, estimated=True, **rates)


def cost(usage: Usage, model: str, on: date, *, batch: bool = False) -> int:
    """Return what a call cost, in nano-USD; an unlisted model is charged at the dearest rates (`is_estimated`)."""
    return _shipped_price(model, on).of(usage, batch=batch)


def is_estimated(model: str, on: date) -> bool:
    """Say whether the model's price is a guess because the table does not list it."""
    return _shipped_price(model, on).estimated


@functools.lru_cache(maxsize=256)
def listed(model: str) -> str:
    """Return the name that the model's price is listed by, or "other": one of few, whatever agents are set to."""
    return shipped().listed(model)


def upper_bound(input_tokens: int, max_tokens: int, model: str, on: date) -> int:
    """Return the most a call can have cost, in nano-USD: all input newly cached, all output used.

    For a call whose answer was lost. input_tokens: counted, or `tokens_at_most`.
    """
    return input_at_most(input_tokens, model, on) + max_tokens * output_price(model, on, input_tokens)


def input_at_most(tokens: int, model: str, on: date) -> int:
    """Return the most that so many tokens of input can cost, in nano-USD: all of them newly cached."""
    price = _shipped_price(model, on).at(tokens)
    return tokens * max(price.input, price.cache_write_5m)


def output_price(model: str, on: date, input_tokens: int = 0) -> int:
    """Return what a token of output costs, in nano-USD, behind so much input."""
    return _shipped_price(model, on).at(input_tokens).output


def tokens_at_most(request: ModelRequest) -> int:
    """Return a generous guess of a request's input tokens without asking the supplier."""
    parts = [request.system, list(request.messages), list(request.tools), request.output_schema]
    return len(json.dumps(parts, ensure_ascii=False, default=dict).encode(errors="replace")) // BYTES_PER_TOKEN


@functools.cache
def shipped() -> PriceTable:
    """Return the table beside this module, read once."""
    return PriceTable.parse(resources.files(__package__).joinpath("prices.yaml").read_text(encoding="utf-8"))


@functools.lru_cache(maxsize=1024)
def _shipped_price(model: str, on: date) -> Price:
    return shipped().price(model, on)


def _effective_from(price: Price) -> date:
    return price.effective_from


def _entry(number: int, entry: Any) -> tuple[str, Price]:
    expected = {"model", "from", *_RATES}
    if not isinstance(entry, dict) or set(entry) - set(_MORE) != expected:
        words = f"needs exactly {', '.join(sorted(expected))}, and may have {' and '.join(_MORE)}"
        raise BadPriceTable(f"Price {number}: {words}.")
    if not isinstance(entry["model"], str) or not isinstance(entry["from"], date):
        raise BadPriceTable(f"Price {number}: `model` is a name and `from` a date (YYYY-MM-DD).")
    rates: dict[str, Any] = {rate: _nano_per_token(number, rate, entry[rate]) for rate in _RATES}
    long, above = _long(number, entry)
    batch = _permille(number, entry.get("batch", 1))
    return entry["model"], Price(entry["from"], **rates, long=long, long_above=above, batch_permille=batch)


def _long(number: int, entry: Any) -> tuple[Price | None, int]:
    """Read `long_context: {above: tokens, …}`, the rates of calls with more input than that."""
    tier = entry.get("long_context")
    if tier is None:
        return None, 0
    if not isinstance(tier, dict) or set(tier) != {"above", *_RATES}:
        raise BadPriceTable(f"Price {number}: `long_context` needs exactly above, {', '.join(_RATES)}.")
    if isinstance(tier["above"], bool) or not isinstance(tier["above"], int) or tier["above"] < 1:
        raise BadPriceTable(f"Price {number}: `above` is a number of tokens, at least 1.")
    rates: dict[str, Any] = {rate: _nano_per_token(number, rate, tier[rate]) for rate in _RATES}
    return Price(entry["from"], **rates), tier["above"]


def _permille(number: int, share: Any) -> int:
    """Read `batch`, what a call in a batch costs of the same outside one: over 0, at most 1, in thousandths."""
    permille = _nano_per_token(number, "batch", share)
    if not 0 < permille <= 1000:
        raise BadPriceTable(f"Price {number}: `batch` is a share over 0 and at most 1.")
    return permille


def _nano_per_token(number: int, rate: str, usd_per_million: Any) -> int:
    if isinstance(usd_per_million, bool) or not isinstance(usd_per_million, int | float | str):
        raise BadPriceTable(f"Price {number}: `{rate}` is USD per million tokens.")
    try:
        nano = Decimal(str(usd_per_million)) * _NANO_PER_TOKEN
        whole = int(nano)
    except (ArithmeticError, ValueError) as error:
        raise BadPriceTable(f"Price {number}: `{rate}` is not a number.") from error
    if whole != nano or whole < 0:
        raise BadPriceTable(f"Price {number}: `{rate}` is at least 0 and in steps of 0.001 USD per million tokens.")
    return whole

"""Money: integer billionths of a US dollar inside, decimal strings outside. Never a float."""

from decimal import Decimal, InvalidOperation

NANO = 1_000_000_000


def from_usd(text: str | int) -> int:
    """Return nano-USD of a decimal string such as "0.50"; raises ValueError for anything else or beyond nano."""
    try:
        nano = Decimal(str(text)) * NANO
    except InvalidOperation as error:
        raise ValueError(f'{text!r} is not an amount; write it as a decimal string, e.g. "0.50".') from error
    if not nano.is_finite() or nano < 0 or nano != nano.to_integral_value():
        raise ValueError(f"{text!r} is not an amount of at least 0 with at most nine decimals.")
    return int(nano)


def to_usd(nano: int) -> str:
    """Return a decimal string with at least four decimals, e.g. "0.0123", exact to the nano."""
    whole, fraction = divmod(abs(nano), NANO)
    decimals = f"{fraction:09d}".rstrip("0").ljust(4, "0")
    return f"{'-' if nano < 0 else ''}{whole}.{decimals}"

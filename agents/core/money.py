"""Money: integer billionths of a US dollar inside, decimal strings outside. Never a float."""

import re
from typing import Final

NANO = 1_000_000_000

#: Whole dollars, and decimals down to the nano; nothing that would be long to work out.
_AMOUNT: Final = re.compile(r"([0-9]{1,12})(?:\.([0-9]{1,9}))?")


def from_usd(text: str | int) -> int:
    """Return nano-USD of a decimal string such as "0.50"; raises ValueError for anything else or beyond nano."""
    written = _AMOUNT.fullmatch(str(text))
    if written is None:
        raise ValueError(f'{str(text)[:40]!r} is no amount: write it as a decimal string, such as "0.50".')
    return int(written[1]) * NANO + int((written[2] or "").ljust(9, "0"))


def to_usd(nano: int) -> str:
    """Return a decimal string with at least four decimals, e.g. "0.0123", exact to the nano."""
    whole, fraction = divmod(abs(nano), NANO)
    decimals = f"{fraction:09d}".rstrip("0").ljust(4, "0")
    return f"{'-' if nano < 0 else ''}{whole}.{decimals}"

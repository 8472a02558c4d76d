"""A small budget for keys that do not fit, by address, so that guessing is slow and cheap to refuse.

A key of which it is known that it was good once has a budget of its own besides, wherever it is used from: each use of
it leaves a record.

An address is often many people's, so one who guesses must not lock the others out: a key that has signed in since this
process began goes on working while its address is refused.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from quotas import rates, refusals
from quotas.errors import RateLimited
from quotas.rates import Spent
from tenants.errors import BadKey

POLICY: Final = "failures"

#: Keys remembered as good in one process.
REMEMBERED: Final = 10_000

_good: OrderedDict[bytes, None] = OrderedDict()


@contextmanager
def limited(address: str, key: str) -> Iterator[None]:
    """Authenticate `key` in the block: `BadKey` is counted against the address, success is remembered.

    address: as `quotas.addresses.network` gives it. Raises `RateLimited` when a budget is used up.
    """
    digest = hashlib.sha256(key.encode()).digest()
    budgets = ((POLICY, address), (refusals.POLICY, digest.hex()))
    for policy, of in () if digest in _good else budgets:
        if rates.exhausted(policy, of):
            raise RateLimited(policy, rates.left(Spent(policy, of)).reset_s)
    try:
        yield
    except BadKey:
        _good.pop(digest, None)
        rates.spend(budgets)
        raise
    _good[digest] = None
    if len(_good) > REMEMBERED:
        _good.popitem(last=False)


def forget() -> None:
    """Forget which keys were good."""
    _good.clear()

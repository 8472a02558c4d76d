"""How many wrong passwords and codes are let through, and to whom.

A browser the account is known from (`device`) has a budget of its own. All others share three: one of the account, one
of the address with this account, one of the address. So a thousand guesses from anywhere come to an end, and whoever
makes them can lock out neither the account's owner nor the neighbours behind the same address where they signed in
before. From a new browser the owner comes in by a passkey or by a link to a new password, which need no guess.

Counters lie in the database (`counts`), where no number of others drops one. Each counts attempts that failed or are
being looked at: one that succeeds is given back. Budgets are the same for addresses nobody has, so they tell nothing.
"""

import hashlib
from dataclasses import dataclass
from typing import Any, Final

from allauth.core.internal import ratelimit
from django.core.cache import cache
from django.http import HttpRequest

from quotas.addresses import client_address
from signin import records
from signin.device import known_as
from tenants.models import User

#: Attempts, the window in seconds, whom they are counted for. Those of one browser apart, the account's come last:
#: what an earlier one stops doesn't count in it.
BUDGETS: Final = {
    "browser": "20/3600s/key",
    "address": "30/300s/ip",
    "address_and_account": "5/300s/key",
    "account": "20/3600s/key",
    "address_and_provider": "60/300s/key",
    "provider": "100/3600s/key",
}


class TooManyGuesses(Exception):
    """Too many failed attempts; nothing is looked at before the window is over.

    budget: the one that is used up. key: whom it is counted for; "" for the address.
    """

    def __init__(self, budget: str, key: str) -> None:
        super().__init__(budget)
        self.budget = budget
        self.key = key


@dataclass(frozen=True, slots=True)
class Guess:
    """An attempt that was counted before it is looked at."""

    usages: tuple[Any, ...]

    def was_right(self) -> None:
        """Give the attempt back."""
        for usage in self.usages:
            usage.rollback()

    def kept(self) -> list[Any]:
        """Return it as JSON, for an attempt that is looked at in a later request."""
        return [[each.cache_key, each.cache_duration, each.timestamp] for used in self.usages for each in used.usage]

    @classmethod
    def of(cls, kept: list[Any]) -> "Guess":
        """Return what was kept."""
        return cls(tuple(ratelimit.SingleRateLimitUsage(*each) for each in kept))


def begin(request: HttpRequest, *, of: str, login: str, user: User | None) -> Guess:
    """Count an attempt at an account; `of` says at what: `password` or `code`.

    login: the account as it was named. user: whose it is, None when nobody's. Raises `TooManyGuesses`; the first time
    in a window that leaves a record.
    """
    name = known_as(request, user.id) if user else None
    account = f"{of}:{login.strip().lower()}"
    wanted = (
        {"browser": f"{account}:{name}"}
        if name
        else {"address": "", "address_and_account": f"{account}:{ratelimit.get_ip(request)}", "account": account}
    )
    try:
        return take(request, wanted)
    except TooManyGuesses as spent:
        if is_first(request, spent):
            records.throttled(request, user, of=of, budget=spent.budget)
        raise


def take(request: HttpRequest, wanted: dict[str, str]) -> Guess:
    """Count an attempt against each budget, budget → whom it is counted for. Raises `TooManyGuesses`."""
    taken: list[Any] = []
    for budget, key in wanted.items():
        usage = ratelimit.consume(request, app="signin", action=budget, config=BUDGETS, key=key, limit_get=True)
        if usage is None:
            Guess(tuple(taken)).was_right()
            raise TooManyGuesses(budget, key)
        taken.append(usage)
    return Guess(tuple(taken))


def is_first(request: HttpRequest, spent: TooManyGuesses) -> bool:
    """Say whether this is the first attempt in a window that a used-up budget stops; only that one is recorded."""
    whom = spent.key or client_address(request)
    window = ratelimit.parse_rate(BUDGETS[spent.budget]).duration
    told = f"signin:told:{spent.budget}:{hashlib.sha256(whom.encode()).hexdigest()}"
    return bool(cache.add(told, 1, timeout=int(window)))

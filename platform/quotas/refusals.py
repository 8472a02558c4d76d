"""A budget for what one member is refused: each refusal leaves a record that nobody can take away again.

Within it every refusal is told and recorded; beyond it there is nothing to learn but that there were too many, and one
record a window says so.
"""

from collections.abc import Callable
from typing import Final

from access import refusals
from quotas import rates
from quotas.errors import RateLimited
from tenants.principal import Principal

POLICY: Final = "refusals"


def record(principal: Principal, refusal: Exception, *, route: str, method: str, code: str) -> None:
    """Record the refusal as `access.refusals.record` does; raises `RateLimited` when the member's budget is used up.

    The budget is the member's in the tenant, over all their keys and sessions.
    """
    spend(f"{principal.tenant_id} {principal.user_id}", tell=lambda: refusals.throttled(principal))
    refusals.record(principal, refusal, route=route, method=method, code=code)


def spend(of: str, *, tell: Callable[[], None]) -> None:
    """Count one refusal that is to be recorded; raises `RateLimited`, the first time in a window after `tell`."""
    try:
        rates.spend([(POLICY, of)])
    except RateLimited:
        with rates.once(POLICY, of) as first:
            if first:
                tell()
        raise

"""What stands before a call that a run makes: the cache, the circuit breaker, a place. In this order.

All of it comes behind the intent: grants, arguments, conditions and approvals have been looked at, as for every call.
"""

from collections.abc import Callable
from typing import Protocol

from agents.core.guards import Guards
from agents.core.spec import ToolSpec
from agents.tools.breaker import breakers
from agents.tools.caching import cache
from agents.tools.places import NoPlace, places
from agents.tools.seam import Failed, Outcome, ToolCall, ToolContext


class WaitingContext(ToolContext, Protocol):
    """The context of a call that may have to wait before it is begun."""

    def waited(self) -> None:
        """Give the call its whole time from now on."""


def guarded(
    tool: ToolSpec,
    guards: Guards,
    call: ToolCall,
    context: WaitingContext,
    make: Callable[[], Outcome],
    *,
    again: bool = False,
) -> Outcome:
    """Make the call, or tell what comes in its place.

    again: whether the call must be made whatever an equal one answered. Raises `NoLongerOurs`, and what `make` raises.
    """

    def behind_the_cache() -> Outcome:
        context.waited()
        return _behind_the_breaker(tool, guards, call, context, make)

    if guards.cache_ttl_s and not again:
        return cache.call(tool, guards, call, context, behind_the_cache)
    return _behind_the_breaker(tool, guards, call, context, make)


def _behind_the_breaker(
    tool: ToolSpec, guards: Guards, call: ToolCall, context: WaitingContext, make: Callable[[], Outcome]
) -> Outcome:
    if guards.breaker is None:
        return in_place(tool, guards, call, context, make)
    admitted = breakers.admit(tool, context)
    if isinstance(admitted, Failed):
        return admitted
    outcome: Outcome | None = None
    try:
        outcome = in_place(tool, guards, call, context, make)
    finally:
        breakers.tell(tool, guards.breaker, context.tenant_id, admitted, outcome)
    return outcome


def in_place(
    tool: ToolSpec, guards: Guards, call: ToolCall, context: WaitingContext, make: Callable[[], Outcome]
) -> Outcome:
    """Make the call in one of the tool's places, however many processes there are; `busy` when none came free in time.

    Raises `NoLongerOurs`, and what `make` raises.
    """
    if guards.concurrency is None:
        return make()
    try:
        with places.place(tool.id, tool.name, guards.concurrency, call.definition.timeout_s, context):
            context.waited()
            return make()
    except NoPlace:
        told = f"{guards.concurrency} calls of {tool.name} are being made at once, and none ended within its time-out."
        return Failed("busy", told, retryable=True)

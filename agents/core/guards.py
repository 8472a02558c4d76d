"""What a tool's definition says about calling it sparingly: cache, circuit breaker, how many calls at once. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

Json = Any

#: Kinds whose other side may be unwell for a while; their tools have a breaker unless the definition says null.
REMOTE_KINDS: Final = frozenset({"http", "sql", "mcp"})

#: What is not a read is made anew each time.
_CACHED_EFFECT: Final = "read"


@dataclass(frozen=True, slots=True)
class Breaker:
    """When to stop calling. failures: in a row, of all workers, 1 to 100; open_s: seconds until one call is tried."""

    failures: int = 5
    open_s: int = 30


@dataclass(frozen=True, slots=True)
class Guards:
    """What stands before a tool's call.

    cache_ttl_s: seconds a result is given again for; 0 for never. tenant_wide: whether to everybody of the tenant,
    rather than to the member alone whose run made the call. concurrency: calls at once over all workers, 1 to 1000;
    None for any number.
    """

    cache_ttl_s: int = 0
    tenant_wide: bool = False
    breaker: Breaker | None = None
    concurrency: int | None = None


def guards_of(document: Mapping[str, Json]) -> Guards | None:
    """Return what a definition asks for; None for nothing, so that its calls pay nothing. document: as it was saved."""
    cached = document.get("effect", "read") == _CACHED_EFFECT
    default: Mapping[str, Json] | None = {} if document["type"] in REMOTE_KINDS else None
    breaker = document.get("breaker", default)
    found = Guards(
        cache_ttl_s=int(document.get("cache_ttl_s") or 0) if cached else 0,
        tenant_wide=document.get("cache_scope") == "tenant",
        breaker=Breaker(**{name: int(value) for name, value in breaker.items()}) if breaker is not None else None,
        concurrency=int(document["concurrency"]) if document.get("concurrency") else None,
    )
    return found if found.cache_ttl_s or found.breaker or found.concurrency else None


def faults(spec: Mapping[str, Json]) -> Iterator[tuple[str, str]]:
    """Yield (place, why) what a tool's `spec` asks for in vain. spec: of the shape of a tool."""
    if spec.get("cache_ttl_s") and spec.get("effect", "read") != _CACHED_EFFECT:
        yield "/cache_ttl_s", "Only the results of a tool with effect read can be cached."

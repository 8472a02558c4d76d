"""Where a record comes from: the request that is being answered when it is written. Pure: standard library only.

What it says goes into the facts of every record that is written meanwhile, so it is opaque: an API key's id, and the id
of the trace that the client's own systems know the request by. What names no key came by a browser's session, if it is
somebody's, or from a worker or a command, which its actor says. Nothing else of a request is told: addresses are of
people, and a client's `Idempotency-Key` may name one, so that lies in the payload of `run.submitted`.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

Json = Any

#: The facts that a record gets from its source, whatever its type: no part of the event itself.
FACTS: Final = frozenset({"via", "trace"})

#: W3C Trace Context, level 1, section 3.2.2: version 00 has exactly these four parts, later ones may have more.
_TRACEPARENT: Final = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-.*)?")
_MOST: Final = 256


@dataclass(slots=True)
class Source:
    """A request. trace: its W3C trace id, 32 hex digits. key: the API key that it came by, once that is known."""

    trace: str | None = None
    key: UUID | None = None

    def facts(self) -> dict[str, Json]:
        """Return what a record says of it."""
        via = {} if self.key is None else {"via": f"key:{self.key}"}
        return via | ({} if self.trace is None else {"trace": self.trace})


_CURRENT: ContextVar[Source | None] = ContextVar("source", default=None)


def current() -> Source | None:
    """Return the request that is being answered; None in workers and commands, whose records name who acts alone."""
    return _CURRENT.get()


def came_by(key: UUID) -> None:
    """Note by which API key the request that is being answered came, if there is one."""
    if (source := current()) is not None:
        source.key = key


@contextmanager
def answering(source: Source) -> Iterator[None]:
    """Take what is recorded in the block for this request's."""
    before = _CURRENT.set(source)
    try:
        yield
    finally:
        _CURRENT.reset(before)


def trace_of(traceparent: str | None) -> str | None:
    """Return the trace id of a `traceparent` header; None when there is none, or none that the specification allows.

    https://www.w3.org/TR/trace-context-1/#traceparent-header: a header that cannot be read counts as none.
    """
    if traceparent is None or len(traceparent) > _MOST or not (found := _TRACEPARENT.fullmatch(traceparent.strip())):
        return None
    version, trace, parent, more = found.groups()
    if version == "ff" or (version == "00" and more is not None) or not int(trace, 16) or not int(parent, 16):
        return None
    return trace


def own_trace(run: UUID) -> str:
    """Return the trace id of a run that nobody gave one: its own id, whose 16 bytes are one as well."""
    return run.hex

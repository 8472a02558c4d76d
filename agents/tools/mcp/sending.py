"""What one request to an MCP server brings along through the SDK: how long it may take, and what came of it."""

import time
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field

from egress.errors import EgressError

DEFAULT_S = 30.0
CALL = "tools/call"
"""The one method that has an effect."""


@dataclass(slots=True)
class Sending:
    """One request. deadline: on the monotonic clock. failed: what the guarded client said.

    status, said: of an HTTP answer from 400 on; otherwise 0 and nothing. taken: whether an HTTP server answered that it
    took the request, whatever became of the answer. error: the code of a JSON-RPC error that the HTTP server itself
    wrote for this request: the SDK makes up others, with the same codes, of answers that it cannot read.
    begin: asked just before the first byte of a call of a tool; broken: what it raised, with nothing sent.
    """

    deadline: float = field(default_factory=lambda: time.monotonic() + DEFAULT_S)
    failed: EgressError | None = None
    status: int = 0
    said: str = ""
    taken: bool = False
    error: int | None = None
    begin: Callable[[], None] | None = None
    broken: Exception | None = None

    def begins(self) -> None:
        """Ask `begin`; what it raises is kept, and raised."""
        try:
            if self.begin is not None:
                self.begin()
        except Exception as error:
            self.broken = error
            raise


#: Of the request that the task at hand sends; the SDK carries the context over to the task that posts it.
SENDING: ContextVar[Sending | None] = ContextVar("mcp_sending", default=None)

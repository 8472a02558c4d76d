"""What one request to an MCP server brings along through the SDK: how long it may take, and what came of it."""

import time
from contextvars import ContextVar
from dataclasses import dataclass, field

from egress.errors import EgressError

DEFAULT_S = 30.0


@dataclass(slots=True)
class Sending:
    """One request. deadline: on the monotonic clock. failed: what the guarded client said.

    status, said: of an HTTP answer from 400 on; otherwise 0 and nothing. taken: whether an HTTP server answered that it
    took the request, whatever became of the answer. error: the code of a JSON-RPC error that the HTTP server itself
    wrote for this request: the SDK makes up others, with the same codes, of answers that it cannot read.
    """

    deadline: float = field(default_factory=lambda: time.monotonic() + DEFAULT_S)
    failed: EgressError | None = None
    status: int = 0
    said: str = ""
    taken: bool = False
    error: int | None = None


#: Of the request that the task at hand sends; the SDK carries the context over to the task that posts it.
SENDING: ContextVar[Sending | None] = ContextVar("mcp_sending", default=None)

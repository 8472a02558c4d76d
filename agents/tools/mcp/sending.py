"""What one request to an MCP server brings along through the SDK: how long it may take, and what came of it."""

import time
from contextvars import ContextVar
from dataclasses import dataclass, field

from egress.errors import EgressError

DEFAULT_S = 30.0


@dataclass(slots=True)
class Sending:
    """One request. deadline: on the monotonic clock. failed: what the guarded client said.

    status, said: of an HTTP answer from 400 on; otherwise 0 and nothing.
    """

    deadline: float = field(default_factory=lambda: time.monotonic() + DEFAULT_S)
    failed: EgressError | None = None
    status: int = 0
    said: str = ""


#: Of the request that the task at hand sends; the SDK carries the context over to the task that posts it.
SENDING: ContextVar[Sending | None] = ContextVar("mcp_sending", default=None)

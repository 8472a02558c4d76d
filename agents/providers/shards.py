"""Connections for hundreds of threads that wait for answers at the same time."""

import itertools
import socket
import threading

import httpx2

# Threads bound the connections, not the pool.
LIMITS = httpx2.Limits(max_connections=None, max_keepalive_connections=256, keepalive_expiry=30.0)
SHARDS = 32
# As the SDK sets them: a plain call is silent until its answer, and what lies between may forget such a connection.
_KEEP_ALIVE = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)] + [
    (socket.IPPROTO_TCP, getattr(socket, name), value)
    for name, value in (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 60), ("TCP_KEEPCNT", 5))
    if hasattr(socket, name)
]


class ThreadShards(httpx2.BaseTransport):
    """Spreads threads over several connection pools. Thread-safe.

    A pool looks at each of its connections whenever a request begins or ends: with 250 in one pool that costs more
    than all the rest of a call. A thread keeps its shard, and so finds its last connection again.
    """

    def __init__(self, limits: httpx2.Limits) -> None:
        context = httpx2.create_ssl_context()
        self._shards = [
            httpx2.HTTPTransport(verify=context, limits=limits, socket_options=_KEEP_ALIVE) for _ in range(SHARDS)
        ]
        self._next = itertools.cycle(self._shards)
        self._of_thread = threading.local()

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send through the thread's shard."""
        shard: httpx2.HTTPTransport | None = getattr(self._of_thread, "shard", None)
        if shard is None:
            shard = self._of_thread.shard = next(self._next)
        return shard.handle_request(request)

    def close(self) -> None:
        """Close every connection."""
        for shard in self._shards:
            shard.close()

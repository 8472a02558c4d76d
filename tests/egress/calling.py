"""Calls of a client that may reach the servers of a test."""

import socket
from collections.abc import Callable

import pytest

from egress.client import Client
from egress.errors import EgressFailed
from egress.messages import Request
from tests.egress.servers import Seen, serve


def client_for(*servers: Seen, **options: object) -> Client:
    return Client(frozenset(("127.0.0.1", seen.port) for seen in servers), **options)  # type: ignore[arg-type]


def get(url: str, **options: object) -> Request:
    return Request("GET", url, **options)  # type: ignore[arg-type]


def refused(handler: Callable[[socket.socket, bytes, int], None], **options: object) -> EgressFailed:
    with serve(handler) as seen, pytest.raises(EgressFailed) as failed:
        client_for(seen).send(get(seen.url, **{"timeout_s": 10.0, **options}))
    return failed.value

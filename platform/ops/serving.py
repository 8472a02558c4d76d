"""The web server's socket and process."""

import http.client
import socket
import sys
from ipaddress import ip_address
from urllib.parse import urlsplit

import uvicorn
from django.conf import settings
from django.db import connection

from config.production import LOOPBACK
from db import provision
from ops.errors import PortInUse, UnsafeRuntime
from vault.actions import keys
from web.protocol import BoundedProtocol

GRACE_SECONDS = 5
"""How long open requests and live pages may go on after SIGTERM."""

KEEP_ALIVE_SECONDS = 15
"""How long a connection may lie idle between requests."""

_BACKLOG = 2048


def bind(host: str, port: int) -> socket.socket:
    """Take the address to serve on; port 0 means any free one. Raises PortInUse with a sentence.

    Says on stderr when others reach it whose requests are not answered.
    """
    if not 0 <= port <= 65535:
        raise PortInUse(f"{port} is no port: choose one from 1 to 65535, or 0 for a free one.")
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = found[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError as error:
        raise PortInUse(
            f"{host}:{port} can't be served on ({error.strerror}): choose another with --host or --port."
        ) from error
    if not ip_address(address[0]).is_loopback and LOOPBACK.issuperset(settings.ALLOWED_HOSTS):
        print(
            f"{host} is served on, but only requests for {', '.join(settings.ALLOWED_HOSTS)} are answered: name the"
            " hosts that people use in ALLOWED_HOSTS (docs/operations.md).",
            file=sys.stderr,
        )
    return listener


def url_of(listener: socket.socket) -> str:
    """The address as a browser on this machine writes it."""
    host, port = listener.getsockname()[:2]
    shown = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - shown, not bound
    return f"http://[{shown}]:{port}" if ":" in shown else f"http://{shown}:{port}"


def answers(url: str, path: str = "/readyz") -> bool:
    """Whether the server at `url` answers `path` with 200."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=10)
    try:
        connection.request("GET", path, headers={"Host": settings.ALLOWED_HOSTS[0].lstrip(".")})
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def refuse_unsafe_runtime() -> None:
    """Raise UnsafeRuntime when the database login has more rights than a process that serves may have.

    Raises FieldKeysLost when secrets in the database could not be read, rather than seal further ones with other keys.
    """
    try:
        sentences = provision.privileged_runtime(connection)
        if sentences:
            raise UnsafeRuntime("\n".join(sentences))
        keys.refuse_lost()
    finally:
        connection.close()


def serve(listener: socket.socket) -> None:
    """Serve the ASGI application on `listener` until SIGTERM or SIGINT."""
    config = uvicorn.Config(
        "config.asgi:application",
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="on",
        ws="none",
        http=BoundedProtocol,
        proxy_headers=False,  # `quotas.addresses` and Django's SECURE_PROXY_SSL_HEADER say what is believed
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    uvicorn.Server(config).run(sockets=[listener])

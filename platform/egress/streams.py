"""Sockets that keep to a deadline and know whether anything was sent."""

import socket
import ssl
from typing import Any

import httpcore2

from egress.addresses import Address
from egress.threads import remaining


class HeadTooLargeError(Exception):
    """The head of the answer is larger than any honest one."""


class BodyTooLargeError(Exception):
    """The body takes more bytes on the wire than any honest one of the allowed size."""


class Stream(httpcore2.NetworkStream):
    """One connection, used by one call at a time.

    `begin` arms it for a call: `deadline` on the monotonic clock bounds every read and write together, however the
    peer trickles. `sent` turns true before the first byte goes out. The bytes read are bounded apart for the head,
    until `head_done`, and for the body with its framing: what is left once that is taken off is the reader's to bound.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._deadline = 0.0
        self._left = 0
        self._body_bytes: int | None = None
        self.sent = False
        self.answered = False

    def begin(self, *, deadline: float, max_head_bytes: int, max_body_bytes: int) -> None:
        """Arm the stream for one call."""
        self._deadline = deadline
        self._left, self._body_bytes = max_head_bytes, max_body_bytes
        self.sent = self.answered = False

    def head_done(self) -> None:
        """From here on it is the body that is read."""
        self._left, self._body_bytes = self._body_bytes or 0, None

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read at most `max_bytes`; the call's deadline stands for `timeout`."""
        self._sock.settimeout(remaining(self._deadline))
        data = self._sock.recv(min(max_bytes, self._left + 1))
        self.answered = self.answered or bool(data)
        self._left -= len(data)
        if self._left < 0:
            raise BodyTooLargeError if self._body_bytes is None else HeadTooLargeError
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Write all of `buffer`. A broken pipe becomes WriteError, after which an early answer is still read."""
        view = memoryview(buffer)
        while view:
            self._sock.settimeout(remaining(self._deadline))
            self.sent = True
            try:
                view = view[self._sock.send(view) :]
            except TimeoutError:
                raise
            except OSError as error:
                raise httpcore2.WriteError(error) from error

    def close(self) -> None:
        """Close the connection."""
        self._sock.close()

    def get_extra_info(self, info: str) -> Any:
        """What httpcore2 asks: whether an idle connection has become readable, that is, was closed by the peer."""
        if info == "is_readable":
            return _is_readable(self._sock)
        return None


def connect(address: Address, port: int, *, timeout_s: float, tls: tuple[ssl.SSLContext, str] | None) -> Stream:
    """Connect to exactly this address. tls: the context, and the name the certificate must be for.

    Raises OSError (TimeoutError, ssl.SSLError among them).
    """
    sock = socket.socket(socket.AF_INET if address.version == 4 else socket.AF_INET6, socket.SOCK_STREAM)
    try:
        sock.settimeout(timeout_s)
        sock.connect((str(address), port))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls is not None:
            context, name = tls
            sock = context.wrap_socket(sock, server_hostname=name)
    except BaseException:
        sock.close()
        raise
    return Stream(sock)


def _is_readable(sock: socket.socket) -> bool:
    try:
        sock.settimeout(0)
        socket.socket.recv(sock, 1, socket.MSG_PEEK)  # the plain method: beneath TLS as well
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True

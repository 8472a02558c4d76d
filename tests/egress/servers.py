"""Servers on loopback that speak real TCP, well or badly, for as long as a test needs them."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Seen:
    """What a server saw. requests: raw heads and bodies, in order; connections: how many were accepted."""

    port: int
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"


Handler = Callable[[socket.socket, bytes, int], None]


def read_request(sock: socket.socket) -> bytes:
    """Read one request, the body by its Content-Length; empty at the end of the connection."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = sock.recv(65536)
        if not more:
            return b""
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    length = next(
        (int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0
    )
    while len(body) < length:
        body += sock.recv(65536)
    return head + b"\r\n\r\n" + body


@contextmanager
def serve(handler: Handler, *, wrap: Callable[[socket.socket], socket.socket] | None = None) -> Iterator[Seen]:
    """Call `handler(sock, request, nth)` for each request, on one thread a connection."""
    listener = socket.create_server(("127.0.0.1", 0))
    seen = Seen(listener.getsockname()[1])
    stop = threading.Event()

    def connection(sock: socket.socket) -> None:
        try:
            with sock, wrap(sock) if wrap else sock as peer:
                while not stop.is_set() and (request := read_request(peer)):
                    seen.requests.append(request)
                    handler(peer, request, len(seen.requests))
        except OSError:
            return  # the client went away, or the handler closed the connection: both are what tests ask for

    def accept() -> None:
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            seen.connections += 1
            threading.Thread(target=connection, args=(sock,), daemon=True).start()

    accepting = threading.Thread(target=accept, daemon=True)
    accepting.start()
    try:
        yield seen
    finally:
        stop.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        accepting.join()


def answer(body: bytes = b"ok", status: str = "200 OK", **headers: str) -> bytes:
    """An HTTP answer with its length. Underscores in header names become hyphens."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def says(data: bytes) -> Handler:
    """A handler that answers every request with `data`."""
    return lambda sock, request, nth: sock.sendall(data)


def reset(sock: socket.socket) -> None:
    """Cut the connection with a TCP reset."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    sock.close()

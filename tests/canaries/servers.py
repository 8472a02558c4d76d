"""Those whom a run talks to, here all of ill will: they repeat what they were given wherever they can."""

import base64
import gzip
import html
import http.client
import http.server
import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import quote, urlsplit

from tests.egress.servers import answer


def _given(request: bytes) -> list[str]:
    """The credentials of a request, without their schemes."""
    lines = request.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")[1:]
    fields = dict(line.split(": ", 1) for line in lines)
    return [fields["Authorization"].removeprefix("Bearer "), fields["X-Second"]]


def _spelled(token: str) -> dict[str, object]:
    data = token.encode("latin-1")
    return {
        "plain": token,
        "bearer": f"Bearer {token}",
        token: "as a name",
        "list": [[token, {"deep": token}]],
        "base64": base64.b64encode(data).decode(),
        "basic": base64.b64encode(b"user:" + data).decode(),
        "base64url": base64.urlsafe_b64encode(b"x" + data).decode().rstrip("="),
        "hex": data.hex(),
        "HEX": data.hex().upper(),
        "percent": quote(token, safe=""),
        "percent, lower": quote(token, safe="").lower(),
        "upper": token.upper(),
        "json": json.dumps({"token": token}),
        "html": html.escape(f"<b>{token}</b>"),
        "python": repr({"token": token}),
    } | ({"number": int(token)} if token.isdigit() else {})


def _said(token: str, second: str) -> bytes:
    return json.dumps([_spelled(token), _spelled(second)]).encode()


def _chunked(body: bytes) -> bytes:
    return b"".join(b"1\r\n" + body[at : at + 1] + b"\r\n" for at in range(len(body))) + b"0\r\n\r\n"


def _headers(token: str, second: str) -> bytes:
    head = f"HTTP/1.1 200 {token}\r\nX-Echo: {token}\r\nX-Half: {token[:9]}\r\nX-Rest: {token[9:]}\r\n"
    return (head + f"Set-Cookie: t={second}\r\nETag: {second}\r\nContent-Length: 2\r\n\r\nok").encode("latin-1")


#: What each address of the tool server answers, given the two credentials it was sent.
ANSWERS: dict[str, Callable[[str, str], bytes]] = {
    "body": lambda token, second: answer(_said(token, second), content_type="application/json"),
    "text": lambda token, second: answer(_said(token, second), content_type="text/plain; charset=utf-16-nonsense"),
    "headers": _headers,
    "reason": lambda token, second: f"HTTP/1.1 503 {token} {second}\r\nContent-Length: 0\r\n\r\n".encode("latin-1"),
    "page": lambda token, second: answer(_said(token, second), "401 Unauthorized", www_authenticate=token),
    "edge": lambda token, second: answer(b"x" * (7990 - len(token) // 2) + token.encode("latin-1") * 3, "500 Broken"),
    "redirect": lambda token, second: answer(b"", "302 Found", location=f"http://{second}.example.invalid/{token}"),
    "inside": lambda token, second: answer(b"", "307 X", location=f"http://10.0.0.1/{quote(token)}?{second}"),
    "scheme": lambda token, second: answer(b"", "302 Found", location=f"x{second}://{quote(token)}/"),
    "userinfo": lambda token, second: answer(b"", "302 Found", location=f"http://u:{quote(token)}@example.com/"),
    "chunks": lambda token, second: (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        + _chunked(_said(token, second))
    ),
    "gzip": lambda token, second: answer(gzip.compress(_said(token, second)), content_encoding="gzip"),
    "damaged": lambda token, second: answer(token.encode("latin-1"), content_encoding="gzip"),
    "no_http": lambda token, second: f"{token}/1.1 {second}\r\n\r\n".encode("latin-1"),
    "bad_header": lambda token, second: f"HTTP/1.1 200 OK\r\n{token}\r\n\r\n".encode("latin-1"),
    "cut": lambda token, second: f"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n{token} {second}".encode("latin-1"),
    "schema": lambda token, second: answer(_said(token, second), content_type="application/json"),
}


def echo(sock: socket.socket, request: bytes, nth: int) -> None:
    """Answer as the path says."""
    path = request.split(b" ", 2)[1].decode().partition("?")[0].strip("/")
    sock.sendall(ANSWERS[path](*_given(request)))
    sock.close()


@contextmanager
def spiteful_database() -> Iterator[int]:
    """A PostgreSQL server that asks for the password in clear and says it aloud; yields its port."""
    listener = socket.create_server(("127.0.0.1", 0))

    def one(sock: socket.socket) -> None:
        with sock:
            sock.recv(8)  # would like TLS
            sock.sendall(b"N")
            sock.recv(65536)
            sock.sendall(b"R" + struct.pack("!2I", 8, 3))
            password = sock.recv(65536)[5:].rstrip(b"\0")
            fields = b"SFATAL\0C28P01\0Mpassword " + password + b" is wrong\0D" + password + b"\0\0"
            sock.sendall(b"E" + struct.pack("!I", 4 + len(fields)) + fields)

    def serve() -> None:
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=one, args=(sock,), daemon=True).start()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


@dataclass
class Overheard:
    """What went to the model: the bodies of the requests. keys: what they were signed with."""

    url: str
    bodies: list[bytes] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)


@contextmanager
def overhearing(model: str) -> Iterator[Overheard]:
    """Stand between the workers and the model, and write everything down."""
    behind = urlsplit(model)

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _pass_on(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", "0")))
            heard.bodies.append(body)
            heard.keys.add(self.headers["x-api-key"] or self.headers["authorization"])
            connection = http.client.HTTPConnection(behind.hostname or "", behind.port, timeout=60)
            headers = {name: value for name, value in self.headers.items() if name.lower() != "host"}
            connection.request(self.command, self.path, body, headers)
            answered = connection.getresponse()
            content = answered.read()
            connection.close()
            self.send_response(answered.status)
            for name, value in answered.headers.items():
                if name.lower() not in {"transfer-encoding", "content-length", "connection", "date", "server"}:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = _pass_on
        do_POST = _pass_on

        def log_message(self, *arguments: object) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        heard = Overheard(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield heard
        finally:
            server.shutdown()
            thread.join()

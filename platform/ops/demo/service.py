"""The systems that the demo's tools reach, as one small HTTP server: `python -m ops.demo.service --port P`.

Paths begin with the tenant's slug. With DEMO_SERVICE_TOKENS (`acme=…,globex=…`) a tenant's requests need its bearer
token. Writes need `Idempotency-Key`. `GET /ledger` tells what was really done. Needs neither Django nor a database.
"""

import argparse
import hmac
import json
import os
import re
import signal
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import FrameType
from typing import Any
from urllib.parse import unquote, urlsplit

from ops.demo import desk
from ops.demo.desk import Refused, Reply
from ops.demo.ledger import KeyReused, Ledger
from ops.demo.records import CUSTOMERS

MAX_BODY_BYTES = 64 * 1024
IDLE_SECONDS = 120
_READS = {
    "customers": desk.customer_record,
    "fraud": desk.fraud_check,
    "fraud-backup": desk.fraud_check_backup,
    "orders": desk.order,
}
_READ = re.compile(r"/(?P<tenant>[a-z]+)/(?P<what>customers|fraud|fraud-backup|orders)/(?P<id>[^/]+)")
_REFUNDS = re.compile(r"/(?P<tenant>[a-z]+)/refunds")
_NOTES = re.compile(r"/(?P<tenant>[a-z]+)/tickets/(?P<id>[^/]+)/notes")


class Service(ThreadingHTTPServer):
    """The server. tokens: bearer token by tenant; a tenant without one is open."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, listener: socket.socket, tokens: Mapping[str, str]) -> None:
        super().__init__(listener.getsockname()[:2], _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        self.tokens = tokens
        self.ledger = Ledger()

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://{self.server_address[0]!s}:{self.server_address[1]}"

    def answer(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Reply:
        """Return the reply to one request. headers: by lower-case name."""
        if method == "GET" and path == "/healthz":
            return Reply(200, {"service": "countersign demo"})
        if method == "GET" and path == "/ledger":
            return Reply(200, {"entries": self.ledger.as_json()})
        try:
            return self._answer(method, path, headers, body)
        except Refused as refused:
            return refused.reply
        except KeyReused:
            return Reply(422, {"error": "This Idempotency-Key was used for another request."})

    def _answer(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Reply:
        if method == "GET" and (match := _READ.fullmatch(path)):
            self._check_tenant(match["tenant"], headers)
            return _READS[match["what"]](match["tenant"], unquote(match["id"]))
        match = _REFUNDS.fullmatch(path) or _NOTES.fullmatch(path)
        if method != "POST" or match is None:
            raise Refused(404, "There is nothing here.")
        self._check_tenant(match["tenant"], headers)
        key = headers.get("idempotency-key", "")
        if not key:
            raise Refused(400, "The header Idempotency-Key is missing.")
        if match.re is _REFUNDS:
            return desk.refund(self.ledger, match["tenant"], key, _object(body))
        return desk.note(self.ledger, match["tenant"], key, unquote(match["id"]), _object(body))

    def _check_tenant(self, tenant: str, headers: Mapping[str, str]) -> None:
        if tenant not in CUSTOMERS:
            raise Refused(404, "There is nothing here.")
        token = self.tokens.get(tenant)
        given = headers.get("authorization", "")
        if token is not None and not hmac.compare_digest(given.encode(), f"Bearer {token}".encode()):
            raise Refused(401, "The bearer token is missing or wrong.")


class _Handler(BaseHTTPRequestHandler):
    server: Service
    protocol_version = "HTTP/1.1"
    timeout = IDLE_SECONDS
    wbufsize = -1
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self._reply(b"")

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > MAX_BODY_BYTES:
            self.close_connection = True
            self._send(Reply(413, {"error": f"A body has at most {MAX_BODY_BYTES} bytes and says its length."}))
            return
        self._reply(self.rfile.read(int(length)))

    def _reply(self, body: bytes) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        reply = self.server.answer(self.command, urlsplit(self.path).path, headers, body)
        time.sleep(reply.delay_s)
        self._send(reply)

    def _send(self, reply: Reply) -> None:
        body = json.dumps(reply.body).encode()
        self.send_response(reply.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if reply.replayed:
            self.send_header("Idempotent-Replayed", "true")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it so
        """Say nothing: the platform's journal tells what was called."""


def _object(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except ValueError:
        raise Refused(400, "The body is not JSON.") from None
    if not isinstance(value, dict):
        raise Refused(400, "The body is not an object.")
    return value


def tokens_from(text: str) -> dict[str, str]:
    """Read `acme=…,globex=…`."""
    return dict(pair.split("=", 1) for pair in text.split(",") if "=" in pair)


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m ops.demo.service", description="The systems of the demo.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default %(default)s)")
    place = parser.add_mutually_exclusive_group(required=True)
    place.add_argument("--port", type=int, help="port to listen on; 0 picks a free one")
    place.add_argument("--fd", type=int, help="a listening socket inherited from the process that started this")
    options = parser.parse_args(arguments)
    try:
        listener = _listen(options.host, options.port) if options.fd is None else socket.socket(fileno=options.fd)
    except OSError as error:
        sys.stderr.write(f"Cannot listen on {options.host}:{options.port}: {error.strerror}. Choose another --port.\n")
        return 2
    service = Service(listener, tokens_from(os.environ.get("DEMO_SERVICE_TOKENS", "")))
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGINT, _stop)
    if options.fd is None:
        sys.stdout.write(f"ready {service.url}\n")
        sys.stdout.flush()
    with service:
        service.serve_forever(poll_interval=0.1)
    return 0


def _listen(host: str, port: int) -> socket.socket:
    return socket.create_server((host, port), backlog=Service.request_queue_size)


def _stop(number: int, frame: FrameType | None) -> None:
    raise SystemExit(0)


if __name__ == "__main__":
    raise SystemExit(main())

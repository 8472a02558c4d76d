"""What the tools under test reach: a server with a ledger of what was really done, which can be told to misbehave.

It lives in the test's own process, which nobody kills, so that its ledger is the witness of every effect.
"""

import http.server
import json
import socket
import struct
import threading
import time
from collections import Counter, defaultdict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

Json = Any


@dataclass(frozen=True, slots=True)
class Asked:
    """One request that arrived. key: its idempotency key, or "". done: whether it had an effect (or gave an answer)."""

    method: str
    path: str
    key: str
    body: Json
    done: bool


@dataclass(frozen=True, slots=True)
class Fault:
    """How one request is answered instead. Fields combine: wait, then have the effect or not, then answer or break.

    delay_s: before anything else. done: whether the effect happens all the same. status: of the answer; 0 resets the
    connection. size: of an endless-looking answer in bytes, when it is to be large. held: waits until it is set.
    """

    status: int = 503
    done: bool = False
    delay_s: float = 0.0
    size: int = 0
    held: threading.Event | None = None


@dataclass
class Ledger:
    """What was asked and what was done, in order; by idempotency key, which begins with the run's id."""

    requests: list[Asked] = field(default_factory=list)
    effects: Counter[str] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def of(self, run: str) -> dict[str, int]:
        """How often each idempotency key of a run had its effect."""
        with self.lock:
            return {key: count for key, count in self.effects.items() if key.startswith(run)}

    def asked(self, run: str) -> list[Asked]:
        """The writes that a run asked for."""
        with self.lock:
            return [each for each in self.requests if each.key.startswith(run)]

    def at(self, path: str) -> list[Asked]:
        """What arrived at a path."""
        with self.lock:
            return [each for each in self.requests if each.path == path]


class Effects:
    """The server's places, by the first part of the path.

    GET /read/ANY answers. POST /once/ANY has its effect once a key, and answers a repetition as it did the first time.
    POST /each/ANY has its effect each time: the tool that must not be called twice.
    """

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.place = f"127.0.0.1:{port}"
        self.ledger = Ledger()
        self._faults: defaultdict[str, deque[Fault]] = defaultdict(deque)
        self._waiting: set[str] = set()

    def will(self, path: str, *faults: Fault) -> None:
        """Answer the next requests at this path so, one after the other; then as usual again."""
        self._faults[path].extend(faults)

    def waiting(self, path: str) -> bool:
        """Whether a request at this path is being held."""
        return path in self._waiting

    def take(self, method: str, path: str, key: str, body: Json) -> tuple[Fault | None, Json]:
        """Take one request in; returns how to misbehave, if at all, and the answer."""
        with self.ledger.lock:
            fault = self._faults[path].popleft() if self._faults[path] else None
        if fault is not None:
            time.sleep(fault.delay_s)
            if fault.held is not None:
                self._waiting.add(path)
                fault.held.wait()
                self._waiting.discard(path)
        done = fault is None or fault.done
        with self.ledger.lock:
            if done and method == "POST" and not (path.startswith("/once/") and self.ledger.effects[key]):
                self.ledger.effects[key] += 1
            self.ledger.requests.append(Asked(method, path, key, body, done))
        return fault, {"path": path, "key": key, "body": body}


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True
    effects: Effects

    def do_GET(self) -> None:
        self._reply(None)

    def do_POST(self) -> None:
        self._reply(json.loads(self.rfile.read(int(self.headers["Content-Length"])) or b"null"))

    def _reply(self, body: Json) -> None:
        key = self.headers.get("Idempotency-Key", "")
        fault, answer = self.effects.take(self.command, self.path, key, body)
        if fault is not None and fault.status == 0:
            # A reset, not an end: what was sent is gone.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            self.close_connection = True
            return
        try:
            self._send(200 if fault is None else fault.status, json.dumps(answer).encode(), fault.size if fault else 0)
        except OSError:
            self.close_connection = True  # whoever asked is dead

    def _send(self, status: int, answer: bytes, size: int) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(size or len(answer)))
        self.end_headers()
        if not size:
            self.wfile.write(answer)
            return
        chunk = b'"' + b"x" * 65536
        for _ in range(size // len(chunk) + 1):
            self.wfile.write(chunk)

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except OSError:
            self.close_connection = True

    def finish(self) -> None:
        try:
            super().finish()
        except OSError:
            self.close_connection = True

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@contextmanager
def serving() -> Iterator[Effects]:
    """Run the server on loopback."""

    class Handler(_Handler):
        pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        effects = Handler.effects = Effects(server.server_port)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield effects
        finally:
            server.shutdown()
            thread.join()

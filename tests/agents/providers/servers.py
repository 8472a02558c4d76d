"""Real processes and real sockets that the provider talks to."""

import http.server
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def rehearsal(*scripts: Path, arguments: Sequence[str] = ()) -> Iterator[str]:
    """Run the rehearsal server in its own process; yields its address."""
    command = [sys.executable, "-m", "agents.providers.rehearsal", "--port", "0", *arguments]
    if scripts:
        command += ["--scripts", *(str(script) for script in scripts)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[3]) as process:
        assert process.stdout is not None
        try:
            ready, url = process.stdout.readline().split()
            assert ready == "ready"
            yield url
        finally:
            process.terminate()


class Recorder:
    """An HTTP server that answers everything with the same bytes and keeps what it was sent."""

    def __init__(self) -> None:
        self.status = 200
        self.headers = {"content-type": "application/json", "request-id": "req_1"}
        self.body = b""
        self.paths: list[str] = []
        self.sent_headers: list[dict[str, str]] = []
        self.bodies: list[bytes] = []
        self.connections: set[tuple[str, int]] = set()
        self.url = ""


@contextmanager
def recorder() -> Iterator[Recorder]:
    """Run a `Recorder` on loopback."""
    recorded = Recorder()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            length = int(self.headers.get("content-length", "0"))
            recorded.paths.append(self.path)
            recorded.connections.add(self.client_address)
            recorded.sent_headers.append({name.lower(): value for name, value in self.headers.items()})
            recorded.bodies.append(self.rfile.read(length))
            self.send_response(recorded.status)
            for name, value in {**recorded.headers, "content-length": str(len(recorded.body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(recorded.body)

        do_GET = _answer
        do_POST = _answer

        def log_message(self, *arguments: object) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        recorded.url = f"http://127.0.0.1:{server.server_port}"
        try:
            yield recorded
        finally:
            server.shutdown()
            thread.join()

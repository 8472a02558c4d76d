"""Web processes and workers of one installation, any number of each, and the proxy in front of them."""

import http.client
import http.server
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from django.conf import settings

from ops import serving
from ops.demo.rest import Rest, RestError
from tests.journeys.running import Demo, demo
from tests.ops.processes import PATIENCE_SECONDS, eventually, manage
from tests.ops.running import manual
from tests.ops.running.postgres import Postgres
from tests.ports import free_port

Json = Any
DEVELOPER, REVIEWER = "dana@acme.example", "rita@acme.example"


@contextmanager
def stage(data_dir: Path, server: Postgres) -> Iterator[Demo]:
    """The demo's tenants and what stands around them, on an operator's server; with a web server and no workers."""
    with demo(data_dir, "--workers", "0", LEASE_SECONDS="5", **databases(server)) as running:
        yield running


def databases(server: Postgres) -> dict[str, str]:
    """The settings that lead to a server."""
    return {"DATABASE_URL": server.url("countersign_app"), "DATABASE_OWNER_URL": server.url("countersign_owner")}


@dataclass
class Process:
    """A web server or a cluster of workers. url: a web server's."""

    kind: str
    running: "subprocess.Popen[bytes]"
    url: str = ""

    def kill(self) -> None:
        """End it and all its children at once."""
        os.killpg(self.running.pid, signal.SIGKILL)
        self.running.wait(PATIENCE_SECONDS)

    def stop(self) -> int:
        """Stop it as a deployment does; return its exit code."""
        if self.running.poll() is None:
            self.running.send_signal(signal.SIGTERM)
        return self.running.wait(PATIENCE_SECONDS)


class Fleet:
    """Processes that share an environment, which may change between their starts. Use it as a context manager."""

    def __init__(self, environment: Mapping[str, str], logs: Path) -> None:
        self.environment = dict(environment)
        self.processes: list[Process] = []
        self._log = (logs / "fleet.log").open("a")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for process in self.processes:
            process.stop()
        self._log.close()

    def start(self, kind: str) -> Process:
        """Start a `web`, and wait until it is ready, or a `qcluster`."""
        port = free_port()
        command = {
            "web": manual.text("On servers of your own", 2),
            "qcluster": manual.text("On servers of your own", 3),
        }[kind]
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        running = subprocess.Popen(
            ["bash", "-c", f"exec {command}"],
            cwd=settings.BASE_DIR,
            env={**self.environment, "PATH": path, "PORT": str(port), "WORKERS": "1"},
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
        )
        process = Process(kind, running)
        self.processes.append(process)
        if kind == "web":
            url = f"http://127.0.0.1:{port}"
            assert eventually(lambda: serving.answers(url)), self.said()
            process.url = url
        return process

    def replace(self, old: Process) -> Process:
        """Start a process with the environment of now, then stop the old one."""
        new = self.start(old.kind)
        assert old.stop() in (0, -signal.SIGTERM)  # the web server ends by the signal, when it has answered everybody
        self.processes.remove(old)
        return new

    def urls(self) -> list[str]:
        """Where the web servers are."""
        return [process.url for process in self.processes if process.kind == "web" and process.url]

    def manage(self, *arguments: str) -> str:
        """Run a command with the environment of now; return what it said."""
        done = subprocess.run(manage(*arguments), env=self.environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def said(self) -> str:
        """What the processes logged."""
        return Path(self._log.name).read_text()


# --- the proxy ------------------------------------------------------------------------------------------------------


class Proxy:
    """A proxy as it is asked for: it goes on to the next server when one takes no connection, and says who asks."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet, self._turn = fleet, itertools.count()
        self.served: dict[str, int] = {}
        proxy = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                proxy.pass_on(self)

            do_POST = do_GET

            def log_message(self, *arguments: object) -> None:
                """Say nothing."""

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def pass_on(self, request: http.server.BaseHTTPRequestHandler) -> None:
        """Answer with what the first server says that takes the request."""
        body = request.rfile.read(int(request.headers.get("Content-Length") or 0))
        headers = {name: value for name, value in request.headers.items() if name.lower() != "connection"}
        headers |= {"X-Forwarded-For": request.client_address[0], "X-Forwarded-Proto": "https"}
        urls, turn = self._fleet.urls(), next(self._turn)
        for place in range(len(urls)):
            url = urls[(turn + place) % len(urls)]
            target = urlsplit(url)
            connection = http.client.HTTPConnection(target.hostname or "", target.port, timeout=PATIENCE_SECONDS)
            try:
                connection.request(request.command, request.path, body, headers)
                answer = connection.getresponse()
                content = answer.read()
            except (OSError, http.client.HTTPException):
                continue  # it is stopping: nothing was answered, and an idempotency key makes asking again safe
            finally:
                connection.close()
            self.served[url] = self.served.get(url, 0) + 1
            self._answer(request, answer, content)
            return
        request.send_error(502)

    def _answer(
        self, request: http.server.BaseHTTPRequestHandler, answer: http.client.HTTPResponse, content: bytes
    ) -> None:
        request.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in {"content-length", "transfer-encoding", "connection", "date"}:
                request.send_header(name, value)
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        request.wfile.write(content)


@contextmanager
def proxy(fleet: Fleet) -> Iterator[Proxy]:
    """A proxy in front of a fleet's web servers."""
    made = Proxy(fleet)
    thread = threading.Thread(target=made.server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield made
    finally:
        made.server.shutdown()
        made.server.server_close()
        thread.join()


# --- load -----------------------------------------------------------------------------------------------------------


class Load:
    """A client that starts a run, waits for its end, and starts the next one, until it is told to stop."""

    def __init__(self, api: Rest) -> None:
        self._api, self._stop = api, threading.Event()
        self.started: list[str] = []
        self.ended: dict[str, str] = {}
        self.failures: list[RestError] = []
        self._thread = threading.Thread(target=self._work)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def goes_on(self, more: int = 2) -> bool:
        """Wait until more runs have been started and ended than at this moment."""
        so_far = len(self.started)
        return eventually(lambda: sum(run in self.ended for run in self.started[so_far:]) >= more)

    def _work(self) -> None:
        for number in itertools.count():
            if self._stop.is_set():
                return
            body = {"agent": "loan-review", "input": {"application_id": f"APP-{number}", "customer_id": "CUST-1001"}}
            run = self._ask(lambda body=body, number=number: self._api.post("runs", body, idempotency_key=f"n{number}"))
            if run is not None:
                self.started.append(run["id"])
                self._follow(run["id"])

    def _follow(self, run: str) -> None:
        deadline = time.monotonic() + 2 * PATIENCE_SECONDS
        while time.monotonic() < deadline:
            seen = self._ask(lambda: self._api.get(f"runs/{run}"))
            if seen and seen["status"] in {"completed", "failed", "cancelled"}:
                self.ended[run] = seen["status"]
                return
            time.sleep(0.05)

    def _ask(self, call: Any) -> Json:
        try:
            return call()
        except RestError as error:
            self.failures.append(error)
            time.sleep(0.2)
            return None


def keys(running: Demo) -> dict[str, str]:
    """The demo's API keys, by member."""
    found: dict[str, str] = json.loads((running.data_dir / "demo" / "keys.json").read_text())
    return found


def api(running: Demo, url: str, email: str = DEVELOPER) -> Rest:
    """The API at another web server than the demo's own."""
    return Rest(url, keys(running)[email], host="localhost")


def drivers(server: Postgres) -> int:
    """How many drivers hold a slot."""
    with server.connect() as connection:
        row = connection.execute(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = %s", [0x43530001]
        ).fetchone()
    assert row is not None
    return int(str(row[0]))

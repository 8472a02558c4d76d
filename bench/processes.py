"""The installation's own processes - web server and qcluster - for the measurements that need the real thing."""

import http.client
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from postgres import free_port

HERE = Path(__file__).resolve().parent
PATIENCE_S = 60.0


@contextmanager
def command(environment: dict[str, str], log: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a management command until the block is left; then SIGTERM. Its log is shown when the block fails."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, str(HERE / "manage_bench.py"), *arguments], env=environment, stdout=output, stderr=output
        )
    try:
        yield process
    except BaseException:
        print(log.read_text()[-3000:], file=sys.stderr)
        raise
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def web(environment: dict[str, str], log: Path) -> Iterator["Api"]:
    """Serve the API on a free port."""
    port = free_port()
    with command(environment, log, "web", "--port", str(port)) as process:
        api = Api(f"http://127.0.0.1:{port}", pid=process.pid)
        wait_for(lambda: api.status("GET", "/healthz") == 200)
        yield api


class Api:
    """A client that keeps its connection. pid: the server's process."""

    def __init__(self, url: str, key: str = "", pid: int = 0) -> None:
        self.url, self.key, self.pid = url, key, pid
        parts = urlsplit(url)
        self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)

    def status(self, method: str, path: str, *, keep: bool = False) -> int:
        """The status alone; 0 when nobody answers. keep: leave the connection open."""
        try:
            self._connection.request(method, path)
            answer = self._connection.getresponse()
            answer.read()
            return answer.status
        except (OSError, http.client.HTTPException):
            return 0
        finally:
            if not keep:
                self.hang_up()

    def hang_up(self) -> None:
        """Close the connection; the next call opens another."""
        self._connection.close()

    def submit(self, run_input: Any) -> str:
        """POST a run; returns its id."""
        body = json.dumps({"agent": "looker", "input": run_input})
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self.key}"}
        self._connection.request("POST", "/api/v1/runs", body, headers)
        answer = self._connection.getresponse()
        said = answer.read()
        assert answer.status == 202, said
        return str(json.loads(said)["id"])


def stats(model_url: str) -> dict[str, Any]:
    """What the fake model counted."""
    parts = urlsplit(model_url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
    connection.request("GET", "/stats")
    counted: dict[str, Any] = json.loads(connection.getresponse().read())
    connection.close()
    return counted


def wait_for(reached: Callable[[], bool], patience_s: float = PATIENCE_S, pause_s: float = 0.02) -> None:
    """Wait until `reached()`. Raises SystemExit when it takes too long."""
    until = time.monotonic() + patience_s
    while not reached():
        if time.monotonic() > until:
            raise SystemExit("timed out")
        time.sleep(pause_s)


def tree(pid: int) -> list[int]:
    """A process and all its descendants."""
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(path.read_text().rpartition(")")[2].split()[1])
        except (FileNotFoundError, ProcessLookupError):
            continue
        children.setdefault(parent, []).append(int(path.parent.name))
    found, todo = [], [pid]
    while todo:
        found.append(todo.pop())
        todo += children.get(found[-1], [])
    return found


def pss_mb(pid: int) -> float:
    """Proportional set size of the process tree, in MB (10^6 bytes): shared pages are counted once (Linux)."""
    total = 0
    for member in tree(pid):
        try:
            lines = Path(f"/proc/{member}/smaps_rollup").read_text().splitlines()
        except (FileNotFoundError, ProcessLookupError):
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total * 1024 / 1e6

"""A demo that runs as processes of its own, and what a client of it does."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ops.demo.rest import Rest, fetch
from tests.ops.processes import PATIENCE_SECONDS, environment, eventually, manage, of_installation

Json = Any


class Demo:
    """A running `manage.py demo`."""

    def __init__(self, data_dir: Path, url: str, service: str) -> None:
        self.data_dir, self.url, self.service = data_dir, url, service
        self._keys: dict[str, str] = json.loads((data_dir / "demo" / "keys.json").read_text())

    def api(self, email: str) -> Rest:
        """The API as the member with that address sees it."""
        return Rest(self.url, self._keys[email], host="localhost")

    def ledger(self, run: str) -> list[Json]:
        """What the run did outside."""
        return [entry for entry in fetch(f"{self.service}/ledger")["entries"] if entry["key"].startswith(run)]

    def child_environment(self) -> dict[str, str]:
        """The environment that the demo gave its web server, and gives its workers."""
        (web,) = of_installation(self.data_dir, "manage.py web")
        lines = (Path("/proc") / str(web) / "environ").read_bytes().decode().split("\0")
        return dict(line.split("=", 1) for line in lines if "=" in line)


@contextmanager
def demo(data_dir: Path, *arguments: str, **variables: str) -> Iterator[Demo]:
    """`manage.py demo` on a free port, ready; ended when the block is left."""
    with (data_dir / "demo.log").open("w") as stderr:
        process = subprocess.Popen(
            manage("demo", "--port", "0", *arguments),
            env=environment(data_dir, **variables),
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if line.startswith("Ctrl-C"):
            break
    try:
        assert lines, (data_dir / "demo.log").read_text()
        (service,) = [line.split()[-1] for line in lines if line.startswith("What the tools")]
        yield Demo(data_dir, lines[0].split()[1], service.removesuffix("/ledger"))
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE_SECONDS)


@contextmanager
def workers(running: Demo) -> Iterator["Workers"]:
    """Workers of their own for the demo's runs, with the demo's environment."""
    variables = running.child_environment()
    commands = {"django_q": ("qcluster", "--workers", "1"), "temporal": ("temporal_worker",)}
    with (running.data_dir / "workers.log").open("a") as log:
        process = subprocess.Popen(
            manage(*commands[variables["ENGINE"]]),
            env=variables,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    cluster = Workers(process)
    try:
        yield cluster
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait(PATIENCE_SECONDS)


class Workers:
    """A running command."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process

    def kill(self) -> None:
        """End all of its processes at once, without a chance to clean up."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(PATIENCE_SECONDS)


def start(api: Rest, agent: str, run_input: Json, key: str | None = None) -> str:
    """Start a run and return its id."""
    run: str = api.post("runs", {"agent": agent, "input": run_input}, idempotency_key=key)["id"]
    return run


def wait(api: Rest, run: str, *statuses: str) -> Json:
    """Wait until the run is in one of these statuses, and return it."""
    seen: list[Json] = []

    def there() -> bool:
        seen.append(api.get(f"runs/{run}"))
        return seen[-1]["status"] in (*statuses, "failed", "cancelled")

    # A lease that its holder lost takes a while to run out, so this may take two rounds.
    assert eventually(there) or eventually(there), seen[-1]
    assert seen[-1]["status"] in statuses, seen[-1]
    return seen[-1]


def events(api: Rest, run: str) -> list[Json]:
    """Every event of a run, checked to be numbered without a gap."""
    found = list(api.every(f"runs/{run}/events"))
    assert [event["seq"] for event in found] == list(range(1, len(found) + 1))
    return found

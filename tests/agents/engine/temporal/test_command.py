"""The command `temporal_worker`: a process that is told to stop, or killed."""

import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import httpx2
import pytest
from pytest_django import Settings

from tests.agents.engine.temporal.server import dev_server
from tests.agents.engine.temporal.test_runs import until
from tests.ops.processes import PATIENCE_SECONDS, eventually, manage
from tests.worlds import World


@pytest.fixture
def environment(
    process_environment: dict[str, str], on_temporal: None, settings: Settings, model_url: str, acme: World
) -> dict[str, str]:
    """Of a worker's process, which serves this test's runs alone."""
    settings.TEMPORAL = replace(settings.TEMPORAL, task_queue=f"queue-{acme.slug}")
    return {
        **process_environment,
        "ENGINE": "temporal",
        "TEMPORAL_ADDRESS": settings.TEMPORAL.address,
        "TEMPORAL_TASK_QUEUE": settings.TEMPORAL.task_queue,
        "ANTHROPIC_BASE_URL": model_url,
        "ANTHROPIC_API_KEY": "rehearsal",
        "LEASE_SECONDS": "6",
    }


@contextmanager
def worker(environment: dict[str, str], log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """Run the command until the block is left."""
    with log.open("ab") as said:
        process = subprocess.Popen(manage("temporal_worker"), env=environment, stdout=said, stderr=said)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def told_to_stop(process: "subprocess.Popen[bytes]") -> int:
    """Stop it as an operator does; returns its exit code."""
    process.send_signal(signal.SIGTERM)
    return process.wait(PATIENCE_SECONDS)


def calls(model_url: str, script: str) -> int:
    """Return how often the rehearsed model was called for that script."""
    count: int = httpx2.get(f"{model_url}/rehearsal/stats").json()["scripts"].get(script, 0)
    return count


def test_it_stops_in_time_and_gives_back_what_does_not_end(
    acme: World, environment: dict[str, str], model_url: str, tmp_path: Path
) -> None:
    acme.define("never", role="You never answer.")
    before = calls(model_url, "never")
    run = acme.submit("never", {})
    with worker(environment, tmp_path / "log") as process:
        until(lambda: calls(model_url, "never") > before)
        assert told_to_stop(process) == 0
    left = acme.run(run.id)
    assert left.worker is None
    assert left.ready_at is not None
    assert "stopped with steps unfinished" in (tmp_path / "log").read_text()


def test_it_stops_while_temporal_is_away(acme: World, environment: dict[str, str], tmp_path: Path) -> None:
    with dev_server(tmp_path) as server:
        environment |= {"TEMPORAL_ADDRESS": server.address}
        with worker(environment, tmp_path / "log") as process:
            assert eventually(lambda: "driving runs" in (tmp_path / "log").read_text())
            time.sleep(5.0)  # its polls are under way
            server.kill()
            assert told_to_stop(process) == 0


def test_what_a_killed_one_had_in_its_hands_is_taken_up_when_its_lease_has_run_out(
    acme: World, environment: dict[str, str], tmp_path: Path
) -> None:
    acme.define("slow", role="You are slow.")
    run = acme.submit("slow", {})
    with worker(environment, tmp_path / "first") as process:
        until(lambda: "model.requested" in acme.actions(run.id))
        process.kill()
    with worker(environment, tmp_path / "second"):
        until(lambda: acme.run(run.id).status == "completed", PATIENCE_SECONDS)
    happened = acme.actions(run.id)
    assert happened.count("run.resumed") == 1
    assert happened.count("model.failed") == 1  # the lost call, charged at its bound
    assert happened.count("model.requested") == 2


def test_a_namespace_that_is_not_there_is_named(environment: dict[str, str], tmp_path: Path) -> None:
    environment["TEMPORAL_NAMESPACE"] = "nowhere"
    with worker(environment, tmp_path / "log") as process:
        assert process.wait(PATIENCE_SECONDS) == 1
    assert "nowhere" in (tmp_path / "log").read_text()

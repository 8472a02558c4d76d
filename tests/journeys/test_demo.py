"""`manage.py demo --once` from an empty data folder, with real processes."""

import json
import secrets
import subprocess
import sys
from pathlib import Path
from typing import Any

from django.conf import settings

from ops.demo import seeding
from ops.demo.cases import CASES
from tests.journeys.running import demo
from tests.ops.processes import PATIENCE_SECONDS, environment, manage, of_installation

Json = Any


def play(data_dir: Path, **variables: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        manage("demo", "--once"),
        env=environment(data_dir, **variables),
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


def runs_of(done: "subprocess.CompletedProcess[str]") -> dict[tuple[str, str], Json]:
    assert done.returncode == 0, done.stderr
    runs = json.loads(done.stdout.splitlines()[-1])["runs"]
    assert all({"agent", "status", "output", "escalation"} <= run.keys() for run in runs)
    return {(run["tenant"], run["case"]): run for run in runs}


def test_every_run_ends_as_it_must_and_again_and_nothing_is_left(data_dir: Path) -> None:
    first = runs_of(play(data_dir))
    assert of_installation(data_dir) == []
    second = runs_of(play(data_dir))
    assert of_installation(data_dir) == []

    for runs in (first, second):
        assert runs.keys() == {(case.tenant, case.name) for case in CASES}
        assert {run["status"] for run in runs.values()} == {"completed"}
    assert not {run["id"] for run in first.values()} & {run["id"] for run in second.values()}

    approved = first["acme", "refund approved"]
    assert approved["escalation"].keys() == {"id", "kind", "decision"}
    assert (approved["escalation"]["kind"], approved["escalation"]["decision"]) == ("tool_call", "approve")
    assert first["acme", "refund rejected"]["escalation"]["decision"] == "reject"
    assert first["acme", "loan escalated, guided by a person"]["escalation"]["decision"] == "respond"
    assert first["acme", "loan approved"]["escalation"] is None
    assert "(backup)" in first["acme", "loan with the fraud check down"]["output"]["reason"]
    report = first["acme", "analysis whose first query fails"]["output"]["report_html"]
    assert report.startswith("<!doctype html>")
    assert "<polyline" in report
    # The same customer id is another person in the other tenant.
    assert first["acme", "loan approved"]["output"]["decision"] == "approve"
    assert first["globex", "the other tenant's customer of the same id"]["output"]["decision"] == "reject"


def test_a_demo_in_production_is_refused(used_dir: Path) -> None:
    done = play(
        used_dir,
        ENVIRONMENT="production",
        SECRET_KEY=secrets.token_urlsafe(48),
        FIELD_KEYS=secrets.token_urlsafe(32),
        AUDIT_SIGNING_KEYS=secrets.token_urlsafe(32),
        BASE_URL="https://countersign.example",
        ALLOWED_HOSTS="countersign.example",
        EMAIL_URL="off",
    )

    assert done.returncode == 1
    assert "does not run in production" in done.stderr
    assert done.stdout == ""


def test_one_folder_takes_one_demo(used_dir: Path) -> None:
    with demo(used_dir, "--workers", "0"):
        second = play(used_dir)

    assert second.returncode == 1
    assert f"A demo runs on {used_dir} already" in second.stderr
    assert second.stdout == ""
    assert of_installation(used_dir) == []


def test_a_stop_in_the_middle_leaves_nothing_running(used_dir: Path) -> None:
    process = subprocess.Popen(
        manage("demo", "--once"), env=environment(used_dir), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    assert any(": completed" in line for line in process.stderr)
    process.terminate()
    said = process.communicate(timeout=PATIENCE_SECONDS)

    assert process.returncode == 1
    assert "Stopped before the runs had ended." in said[1]
    assert of_installation(used_dir) == []


def test_with_a_model_of_its_own_runs_only_have_to_end(used_dir: Path) -> None:
    command = [sys.executable, "-m", "agents.providers.rehearsal", "--port", "0", "--scripts", str(seeding.SCRIPTS)]
    model = subprocess.Popen(command, cwd=settings.BASE_DIR, stdout=subprocess.PIPE, text=True)
    try:
        assert model.stdout is not None
        url = model.stdout.readline().split()[1]
        runs = runs_of(play(used_dir, ANTHROPIC_BASE_URL=url, ANTHROPIC_API_KEY="any"))
    finally:
        model.terminate()
        model.communicate(timeout=PATIENCE_SECONDS)

    assert {run["status"] for run in runs.values()} <= {"completed", "failed", "cancelled"}

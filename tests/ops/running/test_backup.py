"""Backups made while runs are in flight, and copies that go on with them (docs/running.md, "Backup", "Restore")."""

import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ops.demo.rest import Rest
from tests.journeys.running import Demo, events, start, wait
from tests.ops.processes import environment, eventually
from tests.ops.running import fleet, manual, postgres
from tests.ops.running.fleet import DEVELOPER, REVIEWER, Fleet
from tests.ops.running.postgres import Postgres

pytestmark = [pytest.mark.large, pytest.mark.timeout(900)]

Json = Any
REFUND = {"ticket_id": "TICKET-77", "order_id": "ORD-2001", "request": "It arrived broken."}
OTHER = {"ticket_id": "TICKET-79", "order_id": "ORD-2002", "request": "It never came."}
#: Its payment is made at once, and the provider takes three seconds to say so.
SLOW = {"ticket_id": "TICKET-78", "order_id": "ORD-2005", "request": "I sent it back."}
LOAN = {"application_id": "APP-1", "customer_id": "CUST-1001"}
BACKUP = {"BACKUP_PASSWORD": "for backups alone"}


def approve(reviewer: Rest, run: Json) -> None:
    (escalation,) = run["escalations"]
    asked = reviewer.get(f"escalations/{escalation}")
    assert asked["status"] == "open"
    body = {"decision": "approve", "digest": asked["proposal"]["digest"]}
    reviewer.post(f"escalations/{escalation}/decide", body)


def refunds(running: Demo, run: str) -> list[int]:
    """How often each refund that the run made was asked for."""
    return [entry["seen"] for entry in running.ledger(run) if entry["effect"] == "refund"]


def schema(server: Postgres) -> list[str]:
    """Everything in the database but its rows: tables, keys, triggers, policies, owners, privileges.

    Without conditions on texts, which PostgreSQL writes otherwise when it has read them again.
    """
    command = ["pg_dump", "--schema-only", "--restrict-key=same", "countersign"]
    said = subprocess.run(command, env=server.environment(), capture_output=True, text=True, check=True).stdout
    return [line for line in said.splitlines() if "::character varying" not in line]


def test_a_copy_from_a_dump_goes_on_with_its_runs(data_dir: Path, external: Postgres, tmp_path: Path) -> None:
    with fleet.stage(data_dir, external) as running, Fleet(running.child_environment(), data_dir) as first:
        developer, reviewer = running.api(DEVELOPER), running.api(REVIEWER)
        workers = first.start("qcluster")
        ended = start(developer, "loan-review", LOAN)
        asked, unwanted = start(developer, "refund-desk", REFUND), start(developer, "refund-desk", OTHER)
        flying = start(developer, "refund-desk", SLOW)
        for run in (asked, unwanted):
            wait(developer, run, "waiting")
        wait(developer, ended, "completed")
        approve(reviewer, wait(developer, flying, "waiting"))
        assert eventually(lambda: refunds(running, flying) == [1])
        workers.kill()
        then = {run: events(developer, run) for run in (ended, asked, unwanted, flying)}
        assert then[flying][-1]["type"] == "tool.requested"

        manual.run("Backup", 0, {**external.environment(), **BACKUP}, at=tmp_path)
        manual.run("Backup", 1, {**external.environment(), **BACKUP}, at=tmp_path)

        # What is done after the backup, and is gone from the copy.
        first.start("qcluster")
        late = start(developer, "loan-review", LOAN)
        approve(reviewer, developer.get(f"runs/{asked}"))
        for run in (late, asked, flying):
            wait(developer, run, "completed")
        assert refunds(running, asked) == [1]
        assert refunds(running, flying) == [2]  # asked for again with the same key, after the worker's death
        for process in first.processes:
            process.stop()

        with postgres.place(postgres.new_passwords()) as copy:
            copy.make()
            copy.start()
            restore(copy, tmp_path)
            assert schema(copy) == schema(external)
            goes_on(running, copy, tmp_path, then, ended=ended, asked=asked, unwanted=unwanted, flying=flying)
            with Fleet({**running.child_environment(), **fleet.databases(copy)}, data_dir) as second:
                api = fleet.api(running, second.start("web").url)
                assert api.status(f"runs/{late}") == 404


def restore(copy: Postgres, at: Path) -> None:
    manual.run("Restore", 0, copy.environment(), at=at)
    passwords = {
        "APP_PASSWORD": copy.passwords["countersign_app"],
        "OWNER_PASSWORD": copy.passwords["countersign_owner"],
    }
    manual.run("On servers of your own", 0, {**copy.environment(), **passwords}, at=at)
    manual.run("Restore", 2, copy.environment(), at=at)


def goes_on(
    running: Demo,
    copy: Postgres,
    at: Path,
    then: dict[str, Json],
    *,
    ended: str,
    asked: str,
    unwanted: str,
    flying: str,
) -> None:
    variables = {**running.child_environment(), **fleet.databases(copy)}
    manual.run("On servers of your own", 1, variables, at=at)
    with Fleet(variables, running.data_dir) as second:
        url = second.start("web").url
        developer, reviewer = fleet.api(running, url), fleet.api(running, url, REVIEWER)
        listed = manual.run("Restore", 3, copy.environment(), at=at)
        assert ended not in listed
        assert all(run in listed for run in (asked, unwanted, flying))
        assert {run: events(developer, run) for run in then} == then

        developer.post(f"runs/{unwanted}/cancel", {})
        second.start("qcluster")

        done = wait(developer, flying, "completed")
        assert done["output"]["outcome"] == "refunded"
        assert events(developer, flying)[: len(then[flying])] == then[flying]
        assert refunds(running, flying) == [3]  # once more, with the same key: paid once
        wait(developer, unwanted, "cancelled")
        assert running.ledger(unwanted) == []
        approve(reviewer, wait(developer, asked, "waiting"))  # decided before, which the copy cannot know
        wait(developer, asked, "completed")
        assert refunds(running, asked) == [2]
        assert {run: seen[: len(then[run])] for run in then if (seen := events(developer, run))} == then


def test_a_base_backup_and_the_log_since_bring_back_any_moment(data_dir: Path, tmp_path: Path) -> None:
    with postgres.place(postgres.new_passwords()) as old:
        archive = old.room("archive")
        old.make()
        old.start(archive_mode="on", archive_command=f"cp %p {archive}/%f")
        with old.connect(database="postgres") as connection:
            connection.execute("CREATE DATABASE countersign")
        postgres.make_logins(old)
        installation = Fleet({**environment(data_dir), **fleet.databases(old)}, data_dir)
        with installation:
            installation.manage("migrate")
            installation.manage("tenant", "create", "before")
            manual.run("Backup", 0, {**old.environment(), **BACKUP}, at=tmp_path)
            manual.run("Backup", 2, {**old.environment(), **BACKUP}, at=tmp_path)
            installation.manage("tenant", "create", "since")
            when = datetime.now(UTC).isoformat()
            installation.manage("tenant", "create", "unwanted")
        old.stop()  # which archives what is left of the log

        with postgres.place(old.passwords) as copy:
            copy.data.mkdir(parents=True)
            places = {"PGDATA": str(copy.data), "ARCHIVE": str(archive), "WHEN": when}
            manual.run("Restore", 1, {**copy.environment(), **places}, at=tmp_path)
            copy.adopt()
            archive.chmod(0o755)
            copy.start()
            assert eventually(lambda: is_open(copy))
            with Fleet({**environment(data_dir), **fleet.databases(copy)}, data_dir) as restored:
                restored.start("web")
                said = restored.manage("tenant", "list")
        assert "before" in said
        assert "since" in said
        assert "unwanted" not in said


def is_open(server: Postgres) -> bool:
    """Whether it has read the log up to the moment that was asked for, and takes writes."""
    with server.connect() as connection:
        return connection.execute("SELECT pg_is_in_recovery()").fetchone() == (False,)

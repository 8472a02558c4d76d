"""Migrating while the processes of before work on, and what an operator does with old months of the journal."""

from pathlib import Path

import pytest

from db import partitions
from tests.ops.processes import environment, eventually
from tests.ops.running import fleet, manual
from tests.ops.running.fleet import Fleet, Load
from tests.ops.running.postgres import Postgres

pytestmark = [pytest.mark.large, pytest.mark.timeout(900)]

#: What the rule lets a release do to a table that is in use.
NEXT_RELEASE = (
    "SET ROLE countersign_owner",
    "ALTER TABLE agents_run ADD COLUMN next_release integer NOT NULL DEFAULT 0",
    "CREATE INDEX CONCURRENTLY run_next_release ON agents_run (next_release)",
    "ALTER TABLE agents_run ADD CONSTRAINT next_release_is CHECK (next_release >= 0) NOT VALID",
    "ALTER TABLE agents_run VALIDATE CONSTRAINT next_release_is",
)


def test_migrating_stops_nobody(data_dir: Path, external: Postgres) -> None:
    with (
        fleet.stage(data_dir, external) as running,
        Fleet({**running.child_environment(), "TRUST_PROXY": "1"}, data_dir) as many,
        fleet.proxy(many) as front,
    ):
        many.start("web")
        many.start("qcluster")
        with Load(fleet.api(running, front.url)) as load:
            assert load.goes_on(), many.said()
            with external.connect() as connection:
                for statement in NEXT_RELEASE:
                    connection.execute(statement.encode())
            for _ in range(3):
                many.manage("migrate")  # also sets every privilege, policy and key anew
                assert load.goes_on(), many.said()

        assert load.failures == []
        assert set(load.ended.values()) == {"completed"}
        assert set(load.started) == set(load.ended)


def test_a_month_of_the_journal_moves_to_other_storage(data_dir: Path, external: Postgres, tmp_path: Path) -> None:
    cold = external.room("cold")
    with Fleet({**environment(data_dir), **fleet.databases(external)}, data_dir) as many:
        many.manage("migrate")
        with external.connect() as connection:
            connection.execute(f"CREATE TABLESPACE cold LOCATION '{cold}'".encode())
            connection.execute("GRANT CREATE ON TABLESPACE cold TO countersign_journal")
            row = connection.execute(
                "SELECT min(tablename) FROM pg_tables WHERE tablename ~ '^audit_record_[0-9]'"
            ).fetchone()
        assert row is not None
        month = str(row[0]).removeprefix("audit_record_")

        # As the owner: nobody needs a superuser for it.
        owner = {
            **external.environment(),
            "PGUSER": "countersign_owner",
            "PGPASSWORD": external.passwords["countersign_owner"],
            "MONTH": month,
        }
        manual.run("Retention", 0, owner, at=tmp_path)

        with external.connect() as connection:
            moved = connection.execute("SELECT tablename FROM pg_tables WHERE tablespace = 'cold'").fetchall()
            assert {name for (name,) in moved} == {f"{table}_{month}" for table in partitions.PARTITIONED}
        assert many.manage("tenant", "create", "afterwards")
        assert eventually(lambda: "afterwards" in many.manage("tenant", "list"))

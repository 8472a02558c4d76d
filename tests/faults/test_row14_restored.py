"""Row 14: a backup is restored that lacks what was signed. No log is forked; the way on is the manual's.

A real dump and a real restore, by PostgreSQL's own programs; what lies outside the database stays as it is.
"""

import re
import subprocess
from io import StringIO
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.conf import settings as installed
from django.core.management import CommandError, call_command
from psycopg import sql

from audit.models import Record
from audit.sealer.copies import Copies
from audit.stored import StoredLog
from checkpoints import figures, rounds
from db import provision
from db.embedded import Server
from db.embedded.account import server_account
from db.embedded.binaries import find_binaries
from db.roles import seal
from db.scope import tenant_scope
from ops.machine import close_connections
from tests.audit.exports import bundles
from tests.audit.sealer import logs
from tests.checkpoints.conftest import Clock, acme, clock, setting, witness
from tests.checkpoints.witness import Witness
from tests.worlds import World

__all__ = ["acme", "clock", "witness"]

MANUAL = Path(installed.BASE_DIR) / "docs" / "compliance.md"


def manage(*arguments: str) -> str:
    out = StringIO()
    call_command(*arguments, stdout=out)
    return out.getvalue()


def way_on(of: str) -> list[str]:
    """Return the arguments of the manual's command for what was lost for good, for this tenant."""
    section = MANUAL.read_text().partition("## After a restore")[2].partition("\n## ")[0]
    found = re.search(r"`python manage\.py (seal --restart) acme`", section)
    assert found is not None
    return [*found[1].split(), of]


class Database:
    """This file's database, which can be saved and put back. Its checkpoints lie elsewhere."""

    def __init__(self, server: Server, name: str, folder: Path) -> None:
        self._server, self._name, self._folder = server, name, folder

    def back_up(self) -> Path:
        """Dump it."""
        dump = self._folder / f"{len(list(self._folder.iterdir()))}.dump"
        self._run("pg_dump", "--format=custom", f"--file={dump}")
        return dump

    def restore(self, dump: Path) -> None:
        """Make it anew from a dump, as docs/running.md has it."""
        close_connections()
        name = sql.Identifier(self._name)
        with psycopg.connect(self._server.dsn(database="postgres"), autocommit=True) as keeper:
            keeper.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))
            keeper.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(name))
        self._run("pg_restore", "--exit-on-error", f"--dbname={self._server.dsn(database=self._name)}", str(dump))
        provision.provision(self._server.dsn(database=self._name))

    def _run(self, program: str, *arguments: str) -> None:
        given = [] if program == "pg_restore" else [f"--dbname={self._server.dsn(database=self._name)}"]
        command = [find_binaries(server_account()).program(program), *given, *arguments]
        subprocess.run(command, check=True, capture_output=True)


@pytest.fixture
def stored(own_database: str, embedded_server: Server, tmp_path: Path) -> Database:
    folder = tmp_path / "backups"
    folder.mkdir()
    return Database(embedded_server, own_database, folder)


@pytest.fixture
def copies(database: None) -> Copies:
    return Copies(installed.AUDIT_CHECKPOINTS_DIR)


def test_the_signer_refuses_and_the_way_on_is_a_log_of_its_own(
    acme: World, stored: Database, copies: Copies, tmp_path: Path
) -> None:
    backup = stored.back_up()
    logs.append(acme, 50)
    manage("seal")
    held = logs.signed(acme)  # which somebody has
    bundles.export(acme, tmp_path / "before")
    stored.restore(backup)

    logs.append(acme, 60)  # work goes on, with as many leaves to come as there were
    for _ in range(2):
        with pytest.raises(CommandError, match="a backup was restored"):
            manage("seal")
    assert logs.waiting(acme.tenant_id) == 60
    assert logs.signed(acme).head.size < held.head.size  # what the backup had, and nothing new
    assert copies.read(acme.tenant_id, 1) == held.note

    told = manage(*way_on(acme.slug))

    assert f"/log/{acme.tenant_id}/2" in told
    with tenant_scope(acme.tenant_id):
        began = logs.log_of(acme)
        assert (began.generation, began.size()) == (2, Record.objects.count())
        assert Record.objects.filter(action="log.restarted").count() == 1
        former = StoredLog.of(acme.tenant_id, generation=1)
        assert former is not None
        assert former.size() < held.head.size
    logs.append(acme, 1)
    manage("seal")
    bundles.export(acme, tmp_path / "after")
    assert bundles.verified(acme, tmp_path / "after").problems == []
    assert copies.read(acme.tenant_id, 1) == held.note  # the former one is never signed again
    [problem] = bundles.verified(acme, tmp_path / "after", held=held.note).problems
    assert "is not signed by the log" in problem  # nobody takes the one for the other


def test_a_restore_that_lacks_nothing_goes_on_by_itself(acme: World, stored: Database, copies: Copies) -> None:
    logs.append(acme, 50)
    manage("seal")
    held = logs.signed(acme).head
    logs.append(acme, 5)
    backup = stored.back_up()
    stored.restore(backup)

    logs.append(acme, 5)
    manage("seal")

    assert logs.signed(acme).head.size == held.size + 10
    assert set(logs.leaves(acme)) == logs.recorded(acme)


def test_who_vouches_wrongly_is_told_by_the_witness(
    acme: World, stored: Database, copies: Copies, witness: Witness, clock: Clock, settings: Any
) -> None:
    backup = stored.back_up()
    logs.append(acme, 50)
    manage("seal")
    head = logs.signed(acme).head
    assert rounds.due(clock())
    assert rounds.go_round(setting(witness, acme), clock) == 1
    stored.restore(backup)
    copies.path(acme.tenant_id, 1).unlink()  # lost as well, or put out of the way
    manage("seal", "--accept", acme.slug)
    logs.append(acme, 70)
    manage("seal")
    assert logs.signed(acme).head.size > head.size  # a fork, signed by the log's keys

    assert rounds.due(clock())
    assert rounds.go_round(setting(witness, acme), clock) == 0

    assert [asked.status for asked in witness.asked] == [200, 409, 422]
    with seal():
        assert [refused for _, _, refused in figures.witnesses(clock())] == [1]

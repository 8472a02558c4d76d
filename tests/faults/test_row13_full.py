"""Row 13: the database's disk is full. Nothing is done without its record, callers are told, and work goes on after.

The disk is a real one, and small. What is left of it is a few bytes in pages that were begun, so that it is not the
same statement each time that finds no room.
"""

import http.client
import json
import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from django.conf import settings
from django.db import connections
from pytest_django.plugin import DjangoDbBlocker

from audit.models import Record
from audit.sealer.loop import sealer
from db import embedded, session
from db.scope import tenant_scope
from ops.machine import close_connections
from tests import template_database
from tests.audit.sealer import logs
from tests.faults.effects import Fault
from tests.faults.invariants import broken
from tests.faults.rig import Rig, eventually
from tests.faults.small_disk import Disk, small_disk

Json = Any

pytestmark = pytest.mark.usefixtures("database")

#: Runs that are taken at most before the last begun page is full.
MOST = 2000


@pytest.fixture(scope="module")
def disk(embedded_server: embedded.Server) -> Iterator[Disk]:
    with small_disk(embedded_server) as made:
        yield made


@pytest.fixture(scope="module")
def own_database(
    django_db_setup: None, embedded_server: embedded.Server, disk: Disk, django_db_blocker: DjangoDbBlocker
) -> Iterator[str]:
    """A database on that disk; in this process, too, it is the one that is used."""
    before = str(settings.DATABASES["default"]["NAME"])
    copied = template_database.copied(embedded_server, tablespace=disk.tablespace)
    with django_db_blocker.unblock(), copied as name:
        close_connections()
        template_database.use(name)
        try:
            yield name
        finally:
            close_connections()
            template_database.use(before)


def submit(rig: Rig) -> tuple[int, str, Json]:
    """Ask for a run; returns the answer's status, type and body."""
    place = urlsplit(rig.web)
    connection = http.client.HTTPConnection(place.hostname or "", place.port or 0, timeout=60)
    body = json.dumps({"agent": "reader", "input": {"case": uuid4().hex[:8]}})
    headers = {"Authorization": f"Bearer {rig.keys['alice']}", "Content-Type": "application/json", "Host": "localhost"}
    try:
        connection.request("POST", "/api/v1/runs", body, headers)
        answer = connection.getresponse()
        return answer.status, answer.headers["Content-Type"], json.loads(answer.read())
    finally:
        connection.close()


def count(rig: Rig, what: str) -> int:
    found = rig.look.execute(what.encode()).fetchone()
    assert found is not None
    return int(found[0])


def test_nothing_is_done_without_its_record_and_all_goes_on_when_there_is_room(rig: Rig, disk: Disk) -> None:
    cases, held = [uuid4().hex[:8] for _ in range(3)], threading.Event()
    for case in cases:
        rig.effects.will(f"/read/{case}", Fault(200, done=True, held=held))
    with rig.worker():
        runs = [rig.start("careful", {"case": case}) for case in cases]
        assert eventually(lambda: all(rig.run(run)["doing"] for run in runs))
        disk.fill()
        taken, refused = [], 0
        while refused < 5:  # small records still find room where large ones do not
            status, kind, told = submit(rig)
            if status == 202:
                taken.append(told["id"])
                assert len(taken) < MOST
                continue
            assert (status, told["code"]) == (503, "unavailable"), told
            assert kind == "application/problem+json"
            refused += 1

        assert count(rig, "SELECT count(*) FROM agents_run") == len(runs) + len(taken)
        held.set()  # the workers' turn
        lost = "SELECT xact_rollback FROM pg_stat_database WHERE datname = current_database()"
        before = count(rig, lost)
        assert eventually(lambda: count(rig, lost) > before + 3 or ended(rig, runs))
        assert {run: broken(rig.alice, run, rig.effects.ledger) for run in runs} == {run: [] for run in runs}
        seal_while_full(rig)

        disk.free()
        for run in taken:  # one that was claimed while nothing could be written is let go when its lease has run out
            rig.expire(run)
        for run in (*runs, *taken):
            assert rig.settle(run)["status"] == "completed"
    for run in runs:
        assert broken(rig.alice, run, rig.effects.ledger, rig.look) == []
    for run in taken:
        assert rig.events(run)[0]["type"] == "run.submitted"
    assert submit(rig)[0] == 202
    seal_all(rig)


def ended(rig: Rig, runs: list[str]) -> bool:
    return all(rig.run(run)["ended_at"] for run in runs)


def seal_while_full(rig: Rig) -> None:
    """Sealing finds no room either, and harms nothing: what it cannot add waits."""
    with session.connect() as connection:
        sealer(connection).round()
    connections.close_all()


def seal_all(rig: Rig) -> None:
    """Every record becomes a leaf, once."""
    with session.connect() as connection:
        sealer(connection).seal(rig.world.tenant_id)
    assert logs.waiting(rig.world.tenant_id) == 0
    with tenant_scope(rig.world.tenant_id):
        records = Record.objects.count()
    assert logs.signed(rig.world).head.size == records

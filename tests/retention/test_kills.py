"""A worker that is killed in the middle of an erasure leaves the rest to the next one; two at once do no harm."""

import os
import signal
import subprocess
import sys
import textwrap
import threading

import pytest
from django.conf import settings
from django.db import connection, connections

from audit.models import Payload, Record
from db.scope import tenant_scope
from retention import erasing, expiring
from retention.actions import holds, orders
from retention.actions.holds import Over
from retention.errors import OnHold
from tests.retention.conftest import Keep

#: A worker of its own process that does one batch and dies before that is committed, in the middle of the next.
WORKER = """
import os, signal, sys
from uuid import UUID
import django
django.setup()
from django.conf import settings
from tests import template_database
template_database.use(sys.argv[3])
from db.scope import tenant_scope
from retention import erasing, places
erasing.RUNS = 1
with tenant_scope(UUID(sys.argv[1])):
    erasing.advance(UUID(sys.argv[2]))
places.erase = lambda runs: os.kill(os.getpid(), signal.SIGKILL)
with tenant_scope(UUID(sys.argv[1])):
    erasing.advance(UUID(sys.argv[2]))
"""


def test_who_is_killed_in_an_erasure_leaves_a_whole_batch_and_another_does_the_rest(keep: Keep) -> None:
    hers = [keep.ended("4711", note=f"number {n}") for n in range(3)]
    order = keep.erase("4711")

    died = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(WORKER), str(keep.world.tenant_id), str(order.id), database_name()],
        cwd=settings.BASE_DIR,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings", "PYTHONPATH": ".:platform"},
        check=False,
        capture_output=True,
        text=True,
    )

    assert died.returncode == -signal.SIGKILL, died.stderr
    assert [keep.erased(run) for run in hers] == [True, False, False]
    assert keep.order(order.id).runs == 1

    done = keep.work(order)

    assert (done.status, done.runs) == ("done", 3)
    assert all(keep.erased(run) for run in hers)
    with tenant_scope(keep.world.tenant_id):
        told = Record.objects.filter(stream=order.id, action="erasure.advanced").values_list("facts", flat=True)
        assert sum(facts["payloads"] for facts in told) == done.payloads


def database_name() -> str:
    return str(connection.settings_dict["NAME"])


def test_workers_that_come_at_once_erase_each_payload_once(keep: Keep, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(erasing, "RUNS", 1)
    hers = [keep.ended("4711", note=f"number {n}") for n in range(4)]
    with tenant_scope(keep.world.tenant_id):
        before = Payload.objects.count()
    order = keep.erase("4711")

    def work() -> None:
        try:
            for _ in range(8):
                with tenant_scope(keep.world.tenant_id):
                    erasing.advance(order.id)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    done = keep.order(order.id)
    assert (done.status, done.runs) == ("done", len(hers))
    with tenant_scope(keep.world.tenant_id):
        # What asking and confirming recorded came meanwhile: the reason.
        assert before + 1 - Payload.objects.count() == done.payloads


def test_a_hold_and_an_erasure_that_race_never_both_win(keep: Keep) -> None:
    run = keep.ended("4711")
    hold = holds.ask(Over(subject="4711"), "a lawsuit", acting_as=keep.cora)
    order = keep.asked("4711")
    begin = threading.Barrier(2)
    came: list[str] = []

    def confirm(which: str) -> None:
        begin.wait()
        try:
            orders.confirm({"hold": hold, "erasure": order}[which].id, acting_as=keep.carl)
            came.append(which)
        except OnHold:
            came.append("on hold")
        finally:
            connections.close_all()

    threads = [threading.Thread(target=confirm, args=[which]) for which in ("hold", "erasure")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    keep.work(order)

    assert "hold" in came
    assert not keep.erased(run), came


def test_the_workers_chores_see_to_erasures_and_terms_of_every_tenant(keep: Keep) -> None:
    run, old = keep.ended("4711"), keep.old(40, "4712")
    order = keep.erase("4711")
    keep.keep_for(runs=30)

    for _ in range(5):
        erasing.see_to_all()
        expiring.see_to_all()

    assert keep.order(order.id).status == "done"
    assert keep.erased(run)
    assert keep.erased(old)

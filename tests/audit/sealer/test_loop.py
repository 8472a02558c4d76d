"""The thread beside the workers: seals what comes, and goes on when the database was away."""

import threading
import time
from collections.abc import Iterator

import pytest

from audit.sealer import loop
from tests.audit.sealer import logs
from tests.audit.sealer.conftest import Superuser
from tests.worlds import World

#: Seconds that a test waits for what comes within one or two.
PATIENCE_S = 60.0


@pytest.fixture
def sealing(database: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Thread]:
    """The thread, as `qcluster` has it, in less of a hurry to rest."""
    monkeypatch.setattr(loop, "POLL_S", 0.02)
    monkeypatch.setattr(loop, "AGAIN_S", 0.02)
    stop = threading.Event()
    thread = threading.Thread(target=loop.keep_sealing, args=[stop])
    thread.start()
    yield thread
    stop.set()
    thread.join(PATIENCE_S)
    assert not thread.is_alive()


def until_sealed(acme: World) -> None:
    until = time.monotonic() + PATIENCE_S
    while logs.waiting(acme.tenant_id):
        assert time.monotonic() < until
        time.sleep(0.02)


def test_what_comes_is_sealed(acme: World, sealing: threading.Thread) -> None:
    for _ in range(3):
        logs.append(acme, 3)
        until_sealed(acme)

    assert set(logs.leaves(acme)) == logs.recorded(acme)


def test_a_connection_that_is_lost_is_made_anew(acme: World, sealing: threading.Thread, superuser: Superuser) -> None:
    until_sealed(acme)
    ended = superuser.execute(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
        "WHERE datname = current_database() AND query LIKE '%audit_outbox%' AND pid <> pg_backend_pid()"
    ).fetchone()
    assert ended is not None
    logs.append(acme, 3)

    until_sealed(acme)

    assert set(logs.leaves(acme)) == logs.recorded(acme)

"""What Temporal is told of, and when again."""

import asyncio
import gc
import threading
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.db.models.functions import Now
from temporalio.service import RPCError, RPCStatusCode

from agents.engine.temporal import rows, telling, worker
from agents.engine.temporal.engine import Messenger, Temporal
from agents.engine.temporal.telling import Told
from agents.models import Run
from db.scope import tenant_scope
from tests.agents.engine.conftest import PATIENCE_S
from tests.agents.engine.temporal.test_hands import Made, lookups, made
from tests.worlds import World

__all__ = ["made"]


def overdue(acme: World, *runs: Run) -> None:
    with tenant_scope(acme.tenant_id):
        Run.objects.filter(id__in=[run.id for run in runs]).update(due_at=Now() - timedelta(minutes=1))


def due_in(acme: World, run: Run) -> float:
    """Return after how many seconds the sweep looks at the run again."""
    with tenant_scope(acme.tenant_id):
        now = Run.objects.filter(id=run.id).values_list(Now(), "due_at").get()
    return float((now[1] - now[0]).total_seconds())


def test_a_new_run_is_put_off_for_long_only_when_temporal_was_told_of_it(
    acme: World, on_temporal: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard, missed = lookups(acme), lookups(acme)
    overdue(acme, heard, missed)

    async def there(_: object) -> None:
        return None

    async def tell(_: object, told: Told) -> None:
        if told.run_id == missed.id:
            raise RPCError("not now", RPCStatusCode.UNAVAILABLE, b"")

    monkeypatch.setattr(telling, "check", there)
    monkeypatch.setattr(telling, "tell", tell)
    asyncio.run(worker.sweep(None))  # type: ignore[arg-type]

    assert rows.AGAIN_S < due_in(acme, heard) <= rows.TURN_S
    assert due_in(acme, missed) <= rows.AGAIN_S


def test_one_that_was_claimed_since_keeps_its_lease(acme: World, made: Made) -> None:
    run = lookups(acme)
    overdue(acme, run)
    assert run.id in {told.run_id for told in rows.due()}
    made("one").take_up(run.id, lost=0)

    rows.in_line([run.id])

    assert due_in(acme, run) <= settings.LEASE_SECONDS


def test_one_that_was_woken_since_is_told_of_soon(acme: World, on_temporal: None) -> None:
    run = lookups(acme)
    overdue(acme, run)
    rows.due()
    with tenant_scope(acme.tenant_id):
        Temporal().wake(run.id)

    rows.in_line([run.id])

    assert due_in(acme, run) <= 0


def test_a_message_under_way_is_not_forgotten(acme: World, on_temporal: None, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, dropped = threading.Event(), threading.Event()

    async def tell(_: Any, told: Told) -> None:
        waits = asyncio.get_running_loop().create_future()  # nobody else has it
        begun.set()
        try:
            await waits
        finally:
            dropped.set()

    monkeypatch.setattr(Messenger, "_tell", tell)
    messenger = Messenger(settings.TEMPORAL)
    messenger.send(Told(acme.tenant_id, acme.tenant_id))
    assert begun.wait(PATIENCE_S)

    for _ in range(3):
        gc.collect()

    assert not dropped.wait(0.2)
    messenger._loop.call_soon_threadsafe(lambda: [task.cancel() for task in messenger._under_way])
    assert dropped.wait(PATIENCE_S)

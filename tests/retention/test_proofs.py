"""After erasing, every proof holds, the bundle says what was erased and why, and nothing of it is anywhere."""

import logging
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from agents.actions import runs
from agents.models import ToolResult
from audit.erased import TERM
from audit.sealer.sealer import Sealer
from db.models import new_id
from db.scope import tenant_scope
from tests.audit.exports.bundles import export, verified
from tests.audit.sealer import logs
from tests.audit.sealer.conftest import Superuser, copies, sealer, superuser
from tests.retention.conftest import Keep
from webhooks.models import Delivery, Endpoint

__all__ = ["copies", "sealer", "superuser"]

CANARY = "canary-7f3a91"
"""Stands wherever a subject's id or what they wrote can come to stand."""


def everything(superuser: Superuser) -> str:
    """Return every row of every table of the database, as text."""
    found = []
    for (name,) in superuser.execute(
        "SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE c.relkind = 'r' AND n.nspname NOT IN ('pg_catalog', 'information_schema')"
    ).fetchall():
        found += [row[0] for row in superuser.execute(f"SELECT t::text FROM {name} t".encode())]  # noqa: S608
    return "\n".join(found)


def test_what_was_erased_is_nowhere_in_the_database_and_in_no_log_line(
    keep: Keep, superuser: Superuser, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    run = keep.ended(
        CANARY,
        note=f"{CANARY} wrote",
        metadata={"customer": CANARY},
        idempotency_key=f"refund-{CANARY}",
        digest="0" * 64,
    )
    asked = keep.world.submit("payer", {"customer_id": CANARY}, callback_url=f"https://crm.example/{CANARY}")
    runs.cancel(asked.id, acting_as=keep.world.alice)
    keep.end(asked)
    with tenant_scope(keep.world.tenant_id):
        ToolResult.objects.create(
            key=new_id().hex * 2,
            tool_id=new_id(),
            run_id=run.id,
            result=f'"{CANARY}"',
            size=9,
            truncated=False,
            expires_at=timezone.now() + timedelta(days=1),
        )
        hook = Endpoint.objects.create(name="crm", url="https://crm.example/")
        Delivery.objects.create(
            endpoint=hook, type="run.failed", run_id=run.id, created_at=timezone.now(), url=f"https://x/{CANARY}"
        )
    assert everything(superuser).count(CANARY) > 8

    order = keep.work(keep.erase(CANARY))

    assert order.status == "done"
    assert CANARY not in everything(superuser)
    assert CANARY not in caplog.text


def test_every_proof_of_a_bundle_holds_after_an_erasure(keep: Keep, sealer: Sealer, tmp_path: Path) -> None:
    run = keep.ended("4711", note="Ada")
    sealer.seal(keep.world.tenant_id)
    held = logs.signed(keep.world).note

    order = keep.work(keep.erase("4711"))
    sealer.seal(keep.world.tenant_id)
    made = export(keep.world, tmp_path / "bundle")
    report = verified(keep.world, tmp_path / "bundle", held=held)

    assert report.problems == []
    assert set(made.erased.values()) == {f"erased: on request {order.id}"}
    assert len(made.erased) == sum(each.erased for each in keep.world.events(run.id))


def test_a_term_erases_and_proves_as_well_and_says_that_it_was_the_term(
    keep: Keep, sealer: Sealer, tmp_path: Path
) -> None:
    old, young = keep.old(31), keep.ended("4712")
    keep.keep_for(runs=30)

    [batch] = keep.go_round("runs")
    sealer.seal(keep.world.tenant_id)
    made = export(keep.world, tmp_path / "bundle")

    assert batch.runs == 1
    assert (keep.erased(old), keep.erased(young)) == (True, False)
    assert set(made.erased.values()) == {TERM}
    assert verified(keep.world, tmp_path / "bundle").problems == []

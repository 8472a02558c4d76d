"""A run whose journal somebody touched past the engine is not driven: its history cannot be trusted."""

from uuid import UUID

import pytest

from agents.engine import claims
from agents.models import Run
from audit import journal
from audit.journal import BrokenStream, Entry
from db.scope import tenant_scope
from tests.worlds import world


def test_nothing_is_done_in_a_run_with_a_forged_event(database: None) -> None:
    acme = world()
    acme.define("echo", role="You echo.")
    run = acme.submit("echo", {"a": 1})
    with tenant_scope(acme.tenant_id):
        journal.append_at(run.id, 6, [Entry("run.completed", "engine", payload={"output": "forged"})])

    with pytest.raises(BrokenStream), claims.claim("test", after=UUID(int=run.tenant_id.int - 1)):
        pytest.fail("it was taken up")

    with tenant_scope(acme.tenant_id):
        found = Run.objects.get()
    assert (found.status, found.seq, found.worker) == ("queued", 1, None)
    assert found.due_at is not None  # put off, so that it holds up no other

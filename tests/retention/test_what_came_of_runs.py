"""What is kept of a run beside it goes with it: cases that were let go too, and what comes while it is erased."""

import threading
from collections.abc import Callable
from uuid import UUID

import pytest

from agents.models import Run
from audit.models import Payload, Record
from db.scope import tenant_scope
from escalations.actions import appeals
from escalations.errors import NoAppeal
from learning.actions import cases
from learning.errors import RunErased
from learning.models import Case
from tests.retention.conftest import Keep, close_connections


def left_of(keep: Keep, stream: UUID) -> int:
    """Return how many payloads a stream has."""
    with tenant_scope(keep.world.tenant_id):
        records = Record.objects.filter(stream=stream).values_list("id", flat=True)
        return Payload.objects.filter(record_id__in=list(records)).count()


def kept(keep: Keep, run: Run) -> Case:
    """Have a case kept of a run."""
    return cases.keep_run(run.id, {"x": "Ada"}, of="teller", acting_as=keep.olga)


def while_erased(keep: Keep, doing: Callable[[], Case]) -> Case:
    """Erase somebody while another transaction that did something first has not ended; return what it made."""
    order = keep.erase("4711")
    go, done, made = threading.Event(), threading.Event(), list[Case]()

    def other() -> None:
        try:
            with tenant_scope(keep.world.tenant_id):
                made.append(doing())
                done.set()
                go.wait(30)
        finally:
            done.set()
            close_connections()

    first = threading.Thread(target=other)
    first.start()
    assert done.wait(30)

    def erase() -> None:
        keep.work(order, batches=4)
        close_connections()

    erasing = threading.Thread(target=erase)
    erasing.start()
    erasing.join(1)  # it waits for the other; were it not to, it would be done by now
    go.set()
    first.join()
    erasing.join()
    assert keep.work(order).status == "done"
    return made[0]


def test_a_case_that_was_let_go_is_erased_with_its_run(keep: Keep) -> None:
    run = keep.ended("4711", note="Ada")
    case = kept(keep, run)
    cases.remove(case.id, acting_as=keep.olga)
    assert left_of(keep, case.id) == 1

    assert keep.work(keep.erase("4711")).status == "done"

    assert left_of(keep, case.id) == 0
    with tenant_scope(keep.world.tenant_id):
        assert not Case.objects.exists()


def test_a_case_that_is_kept_while_its_run_is_erased_goes_with_it(keep: Keep) -> None:
    run = keep.ended("4711", note="Ada")

    case = while_erased(keep, lambda: kept(keep, run))

    assert left_of(keep, case.id) == 0


def test_of_a_run_that_was_erased_no_case_is_kept_and_no_appeal_made(keep: Keep) -> None:
    keep.world.define(
        "judge",
        role="You judge.",
        subject=["/customer_id"],
        input_schema={"type": "object", "properties": {"customer_id": {}, "note": {"type": "string"}}},
        appeal={"allowed": True},
    )
    run = keep.finish(keep.world.submit("judge", {"customer_id": "4711"}))
    keep.work(keep.erase("4711"))

    with pytest.raises(RunErased):
        cases.keep_run(run.id, "right", of="judge", acting_as=keep.olga)
    with pytest.raises(NoAppeal, match="erased"):
        appeals.make(run.id, "unfair", acting_as=keep.world.alice)

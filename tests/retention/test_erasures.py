"""What an erasure takes, what it leaves, and what stands in its way."""

from contextlib import suppress
from uuid import UUID

import pytest
from django.db import DatabaseError, connection, transaction

from agents.actions import runs
from agents.core.subjects import MOST
from agents.errors import TooManySubjects
from agents.models import RunSubject
from audit.models import Record
from db.scope import tenant_scope
from retention import erasing
from retention.actions import erasures, holds, orders
from retention.actions.holds import Over
from retention.errors import NothingAbout, OnHold, ReasonNamesSubject, RunsLive
from tests.retention.conftest import Keep
from tests.worlds import world


def test_erasing_somebody_takes_what_all_runs_about_them_hold_and_leaves_every_record(keep: Keep) -> None:
    hers = [keep.ended("4711", note="Ada"), keep.ended(4711, note="Ada again")]
    other = keep.ended("4712", note="Bob")
    before = [keep.world.actions(run.id) for run in hers]

    order = keep.work(keep.erase(" 4711 "))

    assert (order.status, order.runs) == ("done", 2)
    assert all(keep.erased(run) for run in hers)
    assert [keep.world.actions(run.id) for run in hers] == before
    assert not keep.erased(other)
    with tenant_scope(keep.world.tenant_id):
        assert set(RunSubject.objects.values_list("run_id", flat=True)) == {other.id}
        assert list(Record.objects.filter(stream=order.id).order_by("id").values_list("action", flat=True)) == [
            "erasure.requested",
            "erasure.confirmed",
            "erasure.advanced",
            "erasure.completed",
        ]


def test_an_agent_without_subject_pointers_leaves_no_hash(keep: Keep) -> None:
    keep.world.define("plain", role="You do.")

    keep.world.submit("plain", {"customer_id": "4711"})

    with tenant_scope(keep.world.tenant_id):
        assert not RunSubject.objects.exists()


def test_nobody_erases_while_a_run_about_them_lives(keep: Keep) -> None:
    keep.ended("4711")
    live = keep.world.submit("teller", {"customer_id": "4711"})

    with pytest.raises(RunsLive, match=str(live.id)):
        erasures.ask("4711", "asked by letter", acting_as=keep.cora)


def test_a_run_that_begins_between_request_and_confirmation_stands_in_the_way(keep: Keep) -> None:
    keep.ended("4711")
    order = erasures.ask("4711", "asked by letter", acting_as=keep.cora)
    live = keep.world.submit("teller", {"customer_id": "4711"})

    with pytest.raises(RunsLive, match=str(live.id)):
        orders.confirm(order.id, acting_as=keep.carl)

    runs.cancel(live.id, acting_as=keep.world.alice)
    assert keep.order(order.id).status == "asked"


def test_a_reason_does_not_name_the_subject(keep: Keep) -> None:
    keep.ended("ada-4711")

    with pytest.raises(ReasonNamesSubject):
        erasures.ask("ada-4711", "Ms ADA-4711 asked", acting_as=keep.cora)


def test_a_run_about_more_people_than_it_is_found_by_is_refused(keep: Keep) -> None:
    keep.world.define("lister", role="You list.", subject=["/customers"])
    keep.world.submit("lister", {"customers": list(range(MOST))})

    with pytest.raises(TooManySubjects, match=str(MOST)):
        keep.world.submit("lister", {"customers": list(range(MOST + 1))})


def test_there_is_nothing_to_erase_of_whom_nobody_knows(keep: Keep) -> None:
    with pytest.raises(NothingAbout):
        erasures.ask("4711", "asked by letter", acting_as=keep.cora)


def test_a_hold_on_the_subject_refuses_their_erasure(keep: Keep) -> None:
    keep.ended("4711")
    hold = holds.ask(Over(subject="4711"), "a lawsuit", acting_as=keep.cora)
    order = erasures.ask("4711", "asked by letter", acting_as=keep.cora)
    orders.confirm(hold.id, acting_as=keep.carl)

    with pytest.raises(OnHold, match=str(hold.id)):
        orders.confirm(order.id, acting_as=keep.carl)


def test_a_hold_that_comes_in_the_middle_stops_the_rest_until_it_is_released(
    keep: Keep, monkeypatch: pytest.MonkeyPatch
) -> None:
    hers = [keep.ended("4711", note=f"number {n}") for n in range(3)]
    order = keep.erase("4711")
    monkeypatch.setattr(erasing, "RUNS", 1)
    keep.work(order, batches=1)
    hold = holds.ask(Over(run=hers[2].id), "a lawsuit", acting_as=keep.cora)
    orders.confirm(hold.id, acting_as=keep.carl)

    keep.work(order)

    assert [keep.erased(run) for run in hers] == [True, True, False]
    assert keep.order(order.id).status == "confirmed"

    release = holds.release(hold.id, "settled", acting_as=keep.cora)
    orders.confirm(release.id, acting_as=keep.carl)
    assert keep.work(order).status == "done"
    assert keep.erased(hers[2])


def test_in_another_tenant_nothing_is_erased_whatever_is_named(keep: Keep) -> None:
    run = keep.ended("4711")
    order = keep.erase("4711")
    other = world()

    for statement, parameters in (
        ("SELECT retention_erase(%s, %s, 100)", [order.id, run.id]),
        ("SELECT coalesce(retention_expire_run(%s, 100), 0)", [run.id]),
        ("SELECT gone FROM retention_expire_records('sign_in', %s, 100)", [UUID(int=0)]),
    ):
        gone = 0
        with (
            suppress(DatabaseError),
            transaction.atomic(),
            tenant_scope(other.tenant_id),
            connection.cursor() as cursor,
        ):
            cursor.execute("SELECT set_config('app.migrating', 'on', true)")
            cursor.execute(statement, parameters)
            (gone,) = cursor.fetchone()
        assert gone == 0

    assert not any(each.erased for each in keep.world.events(run.id))


def test_who_serves_erases_nothing_but_what_was_confirmed(keep: Keep) -> None:
    mine, other = keep.ended("4711"), keep.ended("4712")
    order = keep.erase("4711")

    for statement, parameters in (
        ("SELECT retention_erase(%s, %s, 100)", [order.id, other.id]),
        ("SELECT retention_erase(%s, %s, 100)", [other.id, mine.id]),
        ("SELECT retention_drop(%s, 100, 'request', %s)", [mine.id, order.id]),
        ("DELETE FROM audit_payload WHERE tenant_id = %s", [keep.world.tenant_id]),
        ("UPDATE audit_erased SET why = %s", ["none"]),
    ):
        with (
            pytest.raises(DatabaseError),
            transaction.atomic(),
            tenant_scope(keep.world.tenant_id),
            connection.cursor() as cursor,
        ):
            cursor.execute(statement, parameters)

    assert not keep.erased(other)

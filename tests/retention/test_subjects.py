"""Runs are found by whom they are about, wherever that comes from, and with whatever key it was hashed."""

import pytest
from django.utils import timezone

from agents.actions import again
from agents.core.subjects import MOST, plain, subjects
from agents.engine import about
from agents.models import Run, RunSubject
from audit.models import Record
from db.scope import tenant_scope
from retention import families, indexing
from retention.actions import erasures, holds, orders
from retention.actions.holds import Over
from tenants.principal import COMMAND
from tests.audit.conftest import superuser
from tests.audit.sealer.conftest import Superuser
from tests.retention.conftest import Keep
from vault.actions import keys
from vault.models import HashKey

__all__ = ["superuser"]

INPUT = {"id": "C-1", "to": [{"id": 7}, {"id": 7.0}], "all": ["a", " a ", "b", {"x": "c"}], "no": None, "yes": True}


@pytest.mark.parametrize(
    ("pointers", "found"),
    [
        (["/id"], ("C-1",)),
        (["/to/0/id", "/to/1/id"], ("7",)),
        (["/all"], ("a", "b", "c")),
        (["/no", "/yes", "/missing/deep", "/to/9/id", "/id/0"], ()),
        ([], ()),
    ],
)
def test_subjects_are_the_values_at_the_pointers_each_once(pointers: list[str], found: tuple[str, ...]) -> None:
    assert subjects(pointers, INPUT) == found


def test_an_id_is_the_same_however_it_was_written() -> None:
    assert {plain(4711), plain("4711"), plain(4711.0), plain(" 4711\n")} == {"4711"}
    assert plain("A\u0308da") == plain("\u00c4da")
    assert len(subjects(["/x"], {"x": list(range(10_000))}, most=MOST)) == MOST


def found(keep: Keep, subject: str) -> set[object]:
    with tenant_scope(keep.world.tenant_id):
        return set(families.about(about.digests(subject), until=timezone.now()).runs)


def test_what_it_started_and_what_started_it_and_what_repeats_it_belong_to_it_and_others_of_the_tree_do_not(
    keep: Keep,
) -> None:
    root, hers, below, other = (keep.ended(each) for each in ("batch", "4711", "part", "4712"))
    with tenant_scope(keep.world.tenant_id):
        Run.objects.filter(id__in=[hers.id, other.id]).update(parent=root)
        Run.objects.filter(id=below.id).update(parent=hers)
        Run.objects.filter(id=root.id).update(status="failed", error_code="x")
    retried = again.retry(root.id, "start", acting_as=keep.world.alice).run

    assert found(keep, "4711") == {root.id, hers.id, below.id, retried.id}


def test_what_undoes_a_run_and_what_it_undoes_belong_to_it_and_a_hold_is_over_both(keep: Keep) -> None:
    root, hers, undoes_root, undoes_hers = (keep.ended(each) for each in ("batch", "4711", "u1", "u2"))
    with tenant_scope(keep.world.tenant_id):
        Run.objects.filter(id=hers.id).update(parent=root)
        Run.objects.filter(id=undoes_root.id).update(reverses_id=root.id)
        Run.objects.filter(id=undoes_hers.id).update(reverses_id=hers.id)

    family = {root.id, hers.id, undoes_root.id, undoes_hers.id}
    assert found(keep, "4711") == found(keep, "u2") == family

    hold = holds.ask(Over(run=undoes_hers.id), "a lawsuit", acting_as=keep.cora)
    orders.confirm(hold.id, acting_as=keep.carl)
    with tenant_scope(keep.world.tenant_id):
        assert all(families.holds([run]) == [hold.id] for run in family)


def test_a_retry_that_began_after_the_confirmation_is_erased_once_it_has_ended(keep: Keep) -> None:
    run = keep.ended("4711")
    with tenant_scope(keep.world.tenant_id):
        Run.objects.filter(id=run.id).update(status="failed", error_code="x")
    order = keep.erase("4711")
    retried = again.retry(run.id, "start", acting_as=keep.world.alice).run

    assert keep.work(order).status == "confirmed"
    keep.finish(retried)

    assert keep.work(order).status == "done"
    assert keep.erased(keep.world.run(retried.id))


def test_runs_of_before_there_were_hashes_are_hashed_by_a_command_and_only_once(keep: Keep) -> None:
    old, new = keep.ended("4711"), keep.ended("4712")
    with tenant_scope(keep.world.tenant_id):
        RunSubject.objects.filter(run_id=old.id).delete()

    for _ in range(2):
        assert indexing.index(keep.world.tenant_id, actor=COMMAND) == 2

    assert (found(keep, "4711"), found(keep, "4712")) == ({old.id}, {new.id})
    with tenant_scope(keep.world.tenant_id):
        assert RunSubject.objects.count() == 2
        assert Record.objects.filter(action="subjects.indexed").count() == 2


def test_with_a_new_key_nobody_is_lost_and_no_hash_of_the_former_is_left(keep: Keep) -> None:
    run = keep.ended("4711")
    hold = holds.ask(Over(subject="4712"), "a lawsuit", acting_as=keep.cora)
    orders.confirm(hold.id, acting_as=keep.carl)

    indexing.renew_key(keep.world.tenant_id, actor=COMMAND)
    later, held = keep.ended("4711"), keep.ended("4712")
    assert found(keep, "4711") == {run.id, later.id}
    indexing.index(keep.world.tenant_id, actor=COMMAND)

    assert found(keep, "4711") == {run.id, later.id}
    with tenant_scope(keep.world.tenant_id):
        assert set(RunSubject.objects.values_list("key", flat=True)) == {2}
        assert families.holds([held.id]) == [hold.id]


def test_the_keys_seal_is_made_anew_with_the_installations(keep: Keep) -> None:
    run = keep.ended("4711")
    with tenant_scope(keep.world.tenant_id):
        before = HashKey.objects.get().sealed
        HashKey.objects.update(sealed=before)

    keys.rotate(acting_as=COMMAND)

    assert found(keep, "4711") == {run.id}


def test_the_second_person_sees_whom_and_how_much_before_they_confirm(keep: Keep) -> None:
    run = keep.ended("4711")
    order = erasures.ask("4711", "asked by letter", acting_as=keep.cora)

    with tenant_scope(keep.world.tenant_id):
        preview = erasures.preview(order)

    assert preview is not None
    assert (preview.runs, preview.live, preview.holds) == ((run.id,), (), ())
    assert preview.payloads > 3
    assert preview.rows == {"agents_runsubject": 1}


def test_looking_for_runs_uses_indexes_at_every_step(keep: Keep, superuser: Superuser) -> None:
    superuser.execute("SET enable_seqscan = off")
    superuser.execute("SELECT set_config('app.tenant', %s, false)", [str(keep.world.tenant_id)])
    parameters = {"tenant": keep.world.tenant_id, "digests": ["0" * 64], "until": timezone.now(), "also": []}
    parameters |= {"runs": [keep.world.tenant_id]}

    for statement in (families._ABOUT, families._REPEATS, families._LIVE, families._PAYLOADS):
        plan = superuser.execute(f"EXPLAIN {statement}".encode(), parameters).fetchall()
        assert "Seq Scan" not in str(plan), plan

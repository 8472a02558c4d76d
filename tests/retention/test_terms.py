"""Terms of retention: what goes, what stays, and that it goes on where it was."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from agents.models import Run
from audit import erased, journal
from audit.models import Payload, Record
from db.models import new_id
from db.scope import tenant_scope
from escalations.models import Escalation
from exports.actions import exports
from exports.actions.exports import Asked
from exports.models import Export
from retention import expiring
from retention.actions import holds, orders, terms
from retention.actions.holds import Over
from retention.classes import CLASSES, MOST_DAYS
from retention.errors import BadTerms, TermsAsked
from retention.models import Term
from tests.audit.conftest import superuser
from tests.audit.sealer.conftest import Superuser
from tests.retention.conftest import Keep
from webhooks.models import Delivery

__all__ = ["superuser"]


def test_runs_that_people_were_asked_about_have_a_term_of_their_own(keep: Keep) -> None:
    plain, decided = keep.old(40), keep.old(40, "4712")
    with tenant_scope(keep.world.tenant_id):
        Escalation.objects.create(
            id=new_id(),
            run_id=decided.id,
            agent_id=decided.agent_id,
            seq=1,
            kind="output",
            status="decided",
            reason="rule",
            allowed=["approve"],
            digest="0" * 64,
            requester_id=decided.principal_id,
            requested_at=timezone.now(),
        )
    keep.keep_for(runs=30, decisions=60)

    keep.go_round("runs")
    keep.go_round("decisions")

    assert (keep.erased(plain), keep.erased(decided)) == (True, False)

    keep.keep_for(decisions=30)
    keep.go_round("decisions")
    assert keep.erased(decided)


def test_what_was_exported_before_goes_with_what_is_past_its_term(keep: Keep) -> None:
    keep.old(40)
    now = timezone.now()
    asked = [Asked("jsonl", since=since) for since in (None, now - timedelta(days=35), now - timedelta(days=20))]
    kept = [exports.ask(each, acting_as=keep.cora) for each in asked]
    keep.keep_for(runs=30)

    keep.go_round("runs")

    with tenant_scope(keep.world.tenant_id):
        found = [Export.objects.get(id=each.id).status for each in kept]
        Export.objects.update(next_at=None)
    assert found == ["expired", "expired", "queued"]


def test_a_hold_and_a_child_that_is_younger_keep_all_of_a_tree(keep: Keep) -> None:
    held, parent, young = keep.old(40), keep.old(40, "4712"), keep.ended("4713")
    with tenant_scope(keep.world.tenant_id):
        Run.objects.filter(id=young.id).update(parent=parent)
    hold = holds.ask(Over(subject="4711"), "a lawsuit", acting_as=keep.cora)
    orders.confirm(hold.id, acting_as=keep.carl)
    keep.keep_for(runs=30)

    keep.go_round("runs")

    assert not any(keep.erased(run) for run in (held, parent, young))

    release = holds.release(hold.id, "settled", acting_as=keep.cora)
    orders.confirm(release.id, acting_as=keep.carl)
    keep.keep_for(runs=30)  # as the next day's round
    keep.go_round("runs")
    assert (keep.erased(held), keep.erased(parent)) == (True, False)


@pytest.mark.parametrize(
    "over",
    [
        lambda run, slug: Over(run=run.id),
        lambda run, slug: Over(agent="teller"),
        lambda run, slug: Over(since=timezone.now() - timedelta(days=50), until=timezone.now() - timedelta(days=30)),
        lambda run, slug: Over(until=timezone.now()),
    ],
    ids=["run", "agent", "period", "open period"],
)
def test_each_kind_of_hold_keeps_what_it_is_over(keep: Keep, over: object) -> None:
    run = keep.old(40)
    hold = holds.ask(over(run, keep.world.slug), "a lawsuit", acting_as=keep.cora)  # type: ignore[operator]
    orders.confirm(hold.id, acting_as=keep.carl)
    keep.keep_for(runs=30)

    keep.go_round("runs")

    assert not keep.erased(run)


def test_a_large_tree_goes_in_bounded_batches(keep: Keep, monkeypatch: pytest.MonkeyPatch) -> None:
    olds = [keep.old(40, note=f"number {n}") for n in range(3)]
    keep.keep_for(runs=30)
    monkeypatch.setattr(expiring, "PAYLOADS", 2)

    batches = keep.go_round("runs")

    assert len(batches) > 3
    assert all(batch.payloads <= 2 for batch in batches)
    assert all(keep.erased(run) for run in olds)


def test_what_is_kept_for_good_does_not_make_a_batch_longer(keep: Keep, monkeypatch: pytest.MonkeyPatch) -> None:
    olds = [keep.old(days, f"47{days}") for days in (60, 50, 40)]
    hold = holds.ask(Over(run=olds[0].id), "a lawsuit", acting_as=keep.cora)
    orders.confirm(hold.id, acting_as=keep.carl)
    keep.keep_for(runs=30)
    monkeypatch.setattr(expiring, "LOOKED", 1)

    batches = keep.go_round("runs")

    assert [keep.erased(run) for run in olds] == [False, True, True]
    assert [batch.runs for batch in batches].count(1) == 2
    assert all(batch.runs <= 1 for batch in batches)
    keep.keep_for(runs=30)  # as the next day's round
    assert sum(batch.payloads for batch in keep.go_round("runs")) == 0


def test_deliveries_go_a_step_at_a_time_but_for_those_on_their_way_and_on_hold(
    keep: Keep, monkeypatch: pytest.MonkeyPatch
) -> None:
    held, free = keep.ended("4711"), keep.ended("4712")
    hold = holds.ask(Over(run=held.id), "a lawsuit", acting_as=keep.cora)
    orders.confirm(hold.id, acting_as=keep.carl)
    with tenant_scope(keep.world.tenant_id):
        for status, run, days in (
            ("delivered", held, 60),
            ("pending", free, 50),
            ("delivered", free, 45),
            ("failed", free, 40),
            ("delivered", free, 20),
        ):
            at = timezone.now() - timedelta(days=days)
            Delivery(type="run.completed", url="https://a.example", run_id=run.id, status=status, created_at=at).save()
    keep.keep_for(deliveries=30)
    monkeypatch.setattr(expiring, "PAYLOADS", 1)

    batches = keep.go_round("deliveries")

    with tenant_scope(keep.world.tenant_id):
        left = set(Delivery.objects.values_list("status", "run_id"))
    assert left == {("delivered", held.id), ("pending", free.id), ("delivered", free.id)}
    assert [batch.payloads for batch in batches] == [0, 0, 1, 1, 0]


def test_beyond_runs_sign_ins_and_configuration_have_terms_and_only_what_is_past_them_goes(
    keep: Keep, superuser: Superuser
) -> None:
    with tenant_scope(keep.world.tenant_id):
        for action in ("login.succeeded", "tool.changed", "appeal.made"):
            journal.record(action, stream=new_id(), actor="system:test", payload={"who": "Ada"})
    keep.keep_for(sign_in=30)
    with tenant_scope(keep.world.tenant_id):
        assert expiring.due("sign_in", 30) == 0

    keep.go_round("sign_in")
    assert _left(keep) >= {"login.succeeded", "tool.changed", "appeal.made"}

    _let_days_pass(keep, superuser)
    keep.go_round("sign_in")
    assert "login.succeeded" not in _left(keep)
    assert _left(keep) >= {"tool.changed", "appeal.made"}

    with tenant_scope(keep.world.tenant_id):
        records = {record.action: record.id for record in Record.objects.filter(actor="system:test")}
    superuser.execute("DELETE FROM audit_payload WHERE record_id = ANY(%s)", [list(records.values())])
    with tenant_scope(keep.world.tenant_id):
        told = erased.why(records.values())
    assert {action: told[record] for action, record in records.items()} == {
        "login.succeeded": erased.TERM,
        "tool.changed": erased.UNKNOWN,  # past the platform, whatever ended of another class
        "appeal.made": erased.UNKNOWN,
    }


def _left(keep: Keep) -> set[str]:
    """Return the types of the records by the tests that have a payload."""
    with tenant_scope(keep.world.tenant_id):
        kept = Payload.objects.values_list("record_id", flat=True)
        return set(Record.objects.filter(actor="system:test", id__in=list(kept)).values_list("action", flat=True))


def _let_days_pass(keep: Keep, superuser: Superuser) -> None:
    """No record can be made old, so a superuser makes the term one that has ended: below what anybody may ask for."""
    with superuser.transaction():
        superuser.execute("SET LOCAL session_replication_role = replica")  # no trigger looks
        superuser.execute(
            "UPDATE retention_order SET terms = '{\"sign_in\": -1}' WHERE kind = 'terms' AND tenant_id = %s",
            [keep.world.tenant_id],
        )
    with tenant_scope(keep.world.tenant_id):
        Term.objects.update(upto=None, look_at=timezone.now())


def test_the_app_role_sets_no_term_by_itself_and_erases_nothing_by_one(keep: Keep) -> None:
    run = keep.ended("4711", note="Ada")
    change = terms.ask({"runs": 30}, "policy", acting_as=keep.cora)

    def write(statement: str, *values: Any) -> None:
        with transaction.atomic(), tenant_scope(keep.world.tenant_id), connection.cursor() as cursor:
            cursor.execute(statement, values)

    put = "INSERT INTO retention_term (tenant_id, kind, days, look_at) VALUES (%s, 'runs', %s, now())"
    with pytest.raises(DatabaseError, match="term_in_bounds"):
        write(put, keep.world.tenant_id, -1)
    with pytest.raises(DatabaseError, match="7 to 36500"):
        write("""UPDATE retention_order SET terms = '{"runs": -1}' WHERE id = %s""", change.id)

    old = keep.old(20, "4712")
    write(put, keep.world.tenant_id, 7)
    keep.go_round("runs")
    assert not keep.erased(run)
    assert not keep.erased(old)
    orders.confirm(change.id, acting_as=keep.carl)
    with pytest.raises(DatabaseError, match="as it is"):
        write("""UPDATE retention_order SET terms = '{"runs": 7}' WHERE id = %s""", change.id)


def test_nobody_sets_a_term_that_is_none(keep: Keep) -> None:
    for wrong in ({}, {"runs": 1}, {"runs": 40_000}, {"jokes": 30}):
        with pytest.raises(BadTerms):
            terms.ask(wrong, "policy", acting_as=keep.cora)
    terms.ask({"runs": 30}, "policy", acting_as=keep.cora)
    with pytest.raises(TermsAsked):
        terms.ask({"runs": 31}, "policy", acting_as=keep.olga)


def test_a_round_rests_for_a_day(keep: Keep) -> None:
    keep.keep_for(runs=30)
    keep.go_round("runs")

    with tenant_scope(keep.world.tenant_id):
        assert expiring.advance("runs") is None


def test_the_longest_term_of_all_takes_nothing(keep: Keep) -> None:
    run = keep.old(400)
    with tenant_scope(keep.world.tenant_id):
        journal.record("tool.changed", stream=new_id(), actor="system:test", payload={"who": "Ada"})
        journal.record("login.succeeded", stream=new_id(), actor="system:test", payload={"who": "Ada"})
    keep.keep_for(**dict.fromkeys(CLASSES, MOST_DAYS))

    for kind in CLASSES:
        keep.go_round(kind)

    assert not keep.erased(run)
    assert _left(keep) == {"tool.changed", "login.succeeded"}
    with tenant_scope(keep.world.tenant_id):
        assert [expiring.due(kind, MOST_DAYS) for kind in CLASSES] == [0] * len(CLASSES)

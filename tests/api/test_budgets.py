"""Budgets over REST."""

import pytest

from audit.models import Record
from db.scope import tenant_scope
from quotas.models import Budget, Window
from tests.api.conftest import Caller
from tests.worlds import World

SPEC = {"of": {"tenant": True}, "window": "month", "usd": "200.00", "soft": 0.8}


def test_a_budget_is_set_read_changed_and_removed(acme: World, alice: Caller) -> None:
    made = alice.put("budgets/all", {"spec": SPEC}, If_None_Match="*")
    assert (made.status, made.json) == (201, {"name": "all", "spec": SPEC, "current": None})

    read = alice.get("budgets/all")
    assert read.headers["ETag"] == made.headers["ETag"]
    assert alice.get("budgets").json == {"results": [read.json], "next": None}
    changed = alice.put(
        "budgets/all", {"spec": {**SPEC, "usd": "0.5", "tokens": 7}}, If_Match=str(read.headers["ETag"])
    )
    assert (changed.status, changed.json["spec"]) == (200, {**SPEC, "usd": "0.50", "tokens": 7})
    stale = alice.put("budgets/all", {"spec": SPEC}, If_Match=str(read.headers["ETag"]))
    assert (stale.status, stale.code) == (412, "precondition_failed")
    assert alice.put("budgets/all", {"spec": SPEC}).code == "precondition_required"

    assert alice("DELETE", "budgets/all").status == 204
    assert alice("DELETE", "budgets/all").code == "not_found"
    assert alice.get("budgets").json["results"] == []
    with tenant_scope(acme.tenant_id):
        records = Record.objects.filter(action__startswith="budget.").order_by("id")
        assert [record.action for record in records] == ["budget.set", "budget.set", "budget.deleted"]


def test_what_is_spent_is_shown_and_is_no_part_of_the_etag(acme: World, alice: Caller) -> None:
    alice.put("budgets/all", {"spec": SPEC}, If_None_Match="*")
    before = alice.get("budgets/all")
    with tenant_scope(acme.tenant_id):
        Window.objects.create(
            budget=Budget.objects.get(),
            starts_on=Record.objects.latest("id").at.date().replace(day=1),
            spent_usd_nano=1_500_000_000,
            reserved_tokens=5,
            extra_usd_nano=10**9,
        )

    after = alice.get("budgets/all")

    assert after.headers["ETag"] == before.headers["ETag"]
    assert after.json["current"]["spent"] == {"usd": "1.5000", "tokens": 0}
    assert after.json["current"]["reserved"] == {"usd": "0.0000", "tokens": 5}
    assert after.json["current"]["extended"] == {"usd": "1.0000", "tokens": 0}
    assert after.json["current"]["soft_limit_reached"] is False


@pytest.mark.parametrize(
    ("spec", "pointers"),
    [
        ({**SPEC, "usd": "-1"}, ["/spec/usd"]),
        ({**SPEC, "usd": "much"}, ["/spec/usd"]),
        ({**SPEC, "window": "year"}, ["/spec/window"]),
        ({**SPEC, "soft": 1}, ["/spec/soft"]),
        ({**SPEC, "of": {"agent": "nobody"}}, ["/spec/of/agent"]),
        ({**SPEC, "of": {"user": "nobody@example.com"}}, ["/spec/of/user"]),
        ({**SPEC, "of": {"tenant": False}}, ["/spec/of/tenant"]),
        ({**SPEC, "of": {"tenant": True, "agent": "a"}}, ["/spec/of"]),
        ({"of": {"tenant": True}, "window": "day"}, ["/spec"]),
        ({**SPEC, "tokens": 1.5}, ["/spec/tokens"]),
    ],
)
def test_a_wrong_budget_is_refused_with_its_place(alice: Caller, spec: object, pointers: list[str]) -> None:
    answer = alice.put("budgets/wrong", {"spec": spec}, If_None_Match="*")

    assert (answer.status, answer.code, answer.pointers) == (422, "invalid_document", pointers)


def test_there_is_one_budget_of_each_thing_and_window(alice: Caller) -> None:
    for window in ("day", "month"):
        assert alice.put(f"budgets/{window}", {"spec": {**SPEC, "window": window}}, If_None_Match="*").status == 201

    again = alice.put("budgets/again", {"spec": SPEC}, If_None_Match="*")
    other = alice.put("budgets/day", {"spec": SPEC}, If_Match="*")

    assert (again.status, again.pointers) == (422, ["/spec/of"])
    assert "month" in again.json["errors"][0]["detail"]
    assert (other.status, other.pointers) == (422, ["/spec/of"])


def test_the_tenants_month_goes_on_counting_when_its_budget_is_removed(acme: World, alice: Caller) -> None:
    alice.put("budgets/all", {"spec": SPEC}, If_None_Match="*")
    with tenant_scope(acme.tenant_id):
        Window.objects.create(budget=Budget.objects.get(), starts_on="2026-11-01", spent_usd_nano=5)

    alice("DELETE", "budgets/all")
    alice.put("budgets/everything", {"spec": SPEC}, If_None_Match="*")

    with tenant_scope(acme.tenant_id):
        assert (Budget.objects.count(), Window.objects.get().spent_usd_nano) == (1, 5)

"""The list of runs."""

import re
from typing import Any

from django.test import Client

from agents.models import Run
from console import run_list
from db.scope import tenant_scope
from tests.console import journals
from tests.console.conftest import signed_in
from tests.worlds import VERDICT, World

HTMX = {"HX-Request": "true"}


def shown(client: Client, world: World, query: str = "", **more: Any) -> str:
    answer = client.get(f"/{world.slug}/runs/{query}", **more)
    assert answer.status_code == 200
    return answer.content.decode()


def listed(page: str) -> list[str]:
    return re.findall(r'id="run-([0-9a-f-]{36})"', page)


def test_newest_run_is_first(acme: World) -> None:
    runs = [str(acme.submit("refund-desk", {"order": str(number)}).id) for number in range(3)]
    assert listed(shown(signed_in(acme, "alice"), acme)) == runs[::-1]


def test_list_says_how_each_run_stands(acme: World) -> None:
    asked = acme.submit("refund-desk", {"order": "1"})
    journals.refund(acme, asked.id)
    done = acme.submit("refund-desk", {"order": "2"})
    journals.begin(acme, done.id)
    journals.complete(acme, done.id, {"decision": "approve"})
    page = shown(signed_in(acme, "bob"), acme)
    assert "Waiting for a person" in page
    assert "Completed" in page
    assert "$0.0500" in page


def test_filters_narrow_by_status_and_agent(acme: World) -> None:
    acme.define("loan-review", role="Loan review", output_schema=VERDICT)
    refund, loan = acme.submit("refund-desk", {"order": "1"}), acme.submit("loan-review", {"loan": "1"})
    journals.begin(acme, refund.id)
    alice = signed_in(acme, "alice")
    assert listed(shown(alice, acme, "?status=running")) == [str(refund.id)]
    assert listed(shown(alice, acme, "?agent=loan-review")) == [str(loan.id)]
    assert listed(shown(alice, acme, "?agent=loan-review&status=running")) == []
    assert len(listed(shown(alice, acme, "?status=nonsense&before=nonsense"))) == 2


def test_pages_follow_each_other_without_gap_or_repetition(acme: World, monkeypatch: Any) -> None:
    monkeypatch.setattr(run_list, "PAGE", 2)
    runs = [str(acme.submit("refund-desk", {"order": str(number)}).id) for number in range(5)]
    alice, query, seen = signed_in(acme, "alice"), "?status=queued", []
    while query:
        page = shown(alice, acme, query)
        seen += listed(page)
        older = re.search(r'href="[^"]*(\?[^"]*before=[^"]*)">Older', page)
        query = older.group(1).replace("&amp;", "&") if older else ""
        assert not query or "status=queued" in query
    assert seen == runs[::-1]


def test_refresh_that_changes_nothing_leaves_the_page_alone(acme: World) -> None:
    run = acme.submit("refund-desk", {"order": "1"})
    alice, base = signed_in(acme, "alice"), f"/{acme.slug}/runs/"
    [digest] = re.findall(r'"shown": "([0-9a-f]+)"', shown(alice, acme))
    assert alice.get(base, {"shown": digest}, headers=HTMX).status_code == 204
    journals.begin(acme, run.id)
    changed = alice.get(base, {"shown": digest}, headers=HTMX)
    assert changed.status_code == 200
    assert "<html" not in changed.content.decode()
    assert "Running" in changed.content.decode()


def test_going_back_in_the_browser_gets_the_whole_page(acme: World) -> None:
    headers = {**HTMX, "HX-History-Restore-Request": "true"}
    assert "<html" in shown(signed_in(acme, "alice"), acme, headers=headers)


def test_empty_list_teaches_how_to_start_a_run(acme: World) -> None:
    page = shown(signed_in(acme, "alice"), acme)
    assert "No run yet" in page
    assert "/api/v1/runs" in page
    assert f"apikey create {acme.slug}" in page


def test_empty_filter_offers_the_way_back(acme: World) -> None:
    acme.submit("refund-desk", {"order": "1"})
    assert "Show every run" in shown(signed_in(acme, "alice"), acme, "?status=failed")


def test_names_are_escaped(acme: World) -> None:
    run = acme.submit("refund-desk", {"order": "1"})
    with tenant_scope(acme.tenant_id):
        Run.objects.filter(id=run.id).update(status="running", doing="<script>alert(1)</script>")
    assert "<script>alert" not in shown(signed_in(acme, "alice"), acme)

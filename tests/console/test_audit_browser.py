"""The pages of those who answer for the journal, in a real browser: without scripts, in both schemes, on a phone."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.conf import settings
from playwright.sync_api import Browser, Page, expect

from db.scope import tenant_scope
from retention.actions import holds, orders
from retention.actions.holds import Over
from tests.console.browsing import LOOKS, SCHEMES, browser, members
from tests.console.keepers import SUBJECT, Desk, desk

__all__ = ["browser"]


@pytest.fixture
def kept(database: None) -> Desk:
    return desk()


@pytest.fixture
def visit(web_server: str, browser: Browser, kept: Desk) -> Iterator[Any]:
    with members(browser, web_server, kept.world) as start:
        yield start


def confirm(page: Page, says: str, yes: str) -> None:
    """Press a button and say yes to what it asks back."""
    page.get_by_role("button", name=says, exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name=yes).click()


def test_compliance_exports_verifies_holds_and_erases_without_scripts(visit: Any, kept: Desk, tmp_path: Path) -> None:
    cora: Page = visit("cora", java_script_enabled=False).page
    carls = visit("carl", java_script_enabled=False)
    carl: Page = carls.page
    kept.seal()

    cora.goto(f"{kept.base}audit/exports/")
    cora.get_by_role("button", name="Export", exact=True).click()
    expect(cora.get_by_text("A worker takes it up")).to_be_visible()
    kept.make()
    cora.reload()
    with cora.expect_download() as begun:
        cora.get_by_role("link", name="Download").click()
    bundle = tmp_path / begun.value.suggested_filename
    begun.value.save_as(bundle)
    command = cora.get_by_label("Verify", exact=True).inner_text()
    assert command.startswith(f"python -m audit.verify {bundle.name}")
    ran = [sys.executable, "-m", "audit.verify", str(bundle)]
    told = subprocess.run(ran, cwd=settings.BASE_DIR, capture_output=True, text=True, check=True).stdout
    assert "Everything proves." in told

    cora.goto(f"{kept.base}audit/holds/")
    cora.get_by_placeholder("CUST-4711").fill(SUBJECT)
    cora.get_by_label("Reason").fill("Case 12")
    cora.get_by_role("button", name="Ask for the hold").click()
    expect(cora.get_by_text("Another person")).to_be_visible()
    hold = cora.url
    carl.goto(hold)
    confirm(carl, "Confirm", "Confirm the hold")
    expect(carl.get_by_text("in force")).to_be_visible()
    carl.goto(f"{kept.base}audit/erasures/")
    carl.get_by_label("Whom it is about").fill(SUBJECT)
    carl.get_by_label("Reason").fill("Letter 88")
    carl.get_by_role("button", name="Ask for it").click()
    expect(carl.get_by_role("alert")).to_contain_text("A legal hold forbids it")
    assert "409" in carls.complaints.pop()
    carl.goto(hold)
    carl.get_by_role("group").get_by_text("End the hold").click()
    carl.get_by_label("Reason").fill("It is closed")
    carl.get_by_role("button", name="Ask for its end").click()
    cora.goto(hold)
    confirm(cora, "Confirm", "Confirm its end")
    expect(cora.get_by_text("released").first).to_be_visible()

    carl.goto(f"{kept.base}audit/erasures/")
    carl.get_by_label("Whom it is about").fill(SUBJECT)
    carl.get_by_label("Reason").fill("Letter 88")
    carl.get_by_role("button", name="Ask for it").click()
    cora.goto(carl.url)
    expect(cora.get_by_text("What it takes")).to_be_visible()
    confirm(cora, "Confirm", "Erase it")
    kept.erase(UUID(cora.url.rstrip("/").rpartition("/")[2]))
    kept.seal()
    cora.reload()
    expect(cora.get_by_text("It is done.")).to_be_visible()
    expect(cora.get_by_role("link", name="Erasure completed")).to_be_visible()
    expect(cora.get_by_text("not sealed yet")).to_have_count(0)


def test_terms_and_stories_are_read_on_a_phone_without_scrolling_sideways(visit: Any, kept: Desk) -> None:
    cora: Page = visit("cora", viewport={"width": 360, "height": 740}).page
    cora.goto(f"{kept.base}audit/retention/?count=true")
    for field in cora.locator("input.days").all():
        box = field.bounding_box()
        assert box is not None
        assert 0 <= box["x"] < box["x"] + box["width"] <= 360
    cora.goto(f"{kept.base}audit/stories/{kept.run.id}/")
    box = cora.locator(".answer-line").first.bounding_box()
    assert box is not None
    assert box["x"] + box["width"] <= 360


@pytest.mark.parametrize("scheme", LOOKS)
def test_axe_finds_nothing_on_the_pages_of_compliance(visit: Any, kept: Desk, scheme: str) -> None:
    with tenant_scope(kept.world.tenant_id):
        hold = holds.ask(Over(run=kept.run.id), "Case 12", acting_as=kept.cora)
        orders.confirm(hold.id, acting_as=kept.carl)
        holds.release(hold.id, "It is closed", acting_as=kept.cora)
    kept.seal()
    visitor = visit("carl", **SCHEMES[scheme])
    for page in (
        "audit/",
        "audit/exports/",
        "audit/holds/",
        f"audit/holds/{hold.id}/",
        "audit/erasures/",
        "audit/retention/?count=true",
        "audit/log/",
        f"audit/stories/{kept.run.id}/",
        "agents/payer/cases/",
        f"agents/payer/cases/{kept.case}/",
        "agents/payer/feedback/",
        f"runs/{kept.run.id}/afterwards/",
        f"inbox/{kept.question}/",
    ):
        visitor.page.goto(f"{kept.base}{page}")
        assert visitor.findings() == [], page

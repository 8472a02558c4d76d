"""The inbox in a real Chromium, by keyboard, on a phone, without scripts."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from db.scope import tenant_scope
from escalations.actions import queues
from escalations.models import Escalation
from tests.console.browsing import LOOKS, PHONE, SCHEMES, browser, members
from tests.console.conftest import email
from tests.console.inboxes import Desk, desk

__all__ = ["browser"]


@pytest.fixture
def at(database: None) -> Desk:
    return desk(4)


@pytest.fixture
def visit(web_server: str, browser: Browser, at: Desk) -> Iterator[Any]:
    with members(browser, web_server, at.world) as start:
        yield start


def decisions(at: Desk) -> list[str | None]:
    with tenant_scope(at.world.tenant_id):
        found = {each.id: each.decision for each in Escalation.objects.filter(id__in=at.asked)}
    return [found[each] for each in at.asked]


def test_a_reviewer_clears_the_inbox_by_keyboard(visit: Any, at: Desk) -> None:
    at.press(3)
    page = visit("rita").page
    page.keyboard.press("g")
    page.keyboard.press("i")
    page.wait_for_url("**/inbox/")
    title = page.locator("#item-title")
    expect(title).to_contain_text("Ada 3")
    page.keyboard.press("j")
    expect(title).to_contain_text("Ada 0")
    page.keyboard.press("k")
    expect(title).to_contain_text("Ada 3")

    page.keyboard.press("a")
    reason = page.get_by_label("Reason")
    expect(reason).to_be_focused()
    page.keyboard.type("As agreed by phone")  # letters are no keys while one writes
    page.keyboard.press("Control+Enter")
    expect(title).to_contain_text("Ada 0")
    page.keyboard.press("a")
    expect(title).to_contain_text("Ada 1")

    page.keyboard.press("e")
    arguments = page.get_by_label("Arguments")
    expect(arguments).to_be_focused()
    arguments.fill('{"amount": 60, "to": "Ada 1"}')
    expect(page.locator("#difference .is-added")).to_contain_text("60")
    page.get_by_label("Reason").fill("Half")
    page.keyboard.press("Control+Enter")
    expect(title).to_contain_text("Ada 2")

    page.keyboard.press("r")
    expect(page.get_by_label("Reason")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("link", name="Reject")).to_be_visible()
    page.keyboard.press("c")
    page.get_by_label("Your words to the agent").fill("Ask first")
    page.keyboard.press("Control+Enter")
    expect(page.get_by_role("heading", name="Nothing waits for you")).to_be_visible()
    expect(page.locator("#inbox-count")).to_be_hidden()
    page.keyboard.press("a")  # nothing is left that it could decide
    assert decisions(at) == ["approve", "edit", "respond", "approve"]


def test_an_answer_is_taken_back_and_many_are_given_one_by_keyboard(visit: Any, at: Desk) -> None:
    with tenant_scope(at.world.tenant_id):
        queues.put("finance", {"members": [email(at.world, "rita")], "undo_s": 600}, acting_as=at.world.alice)
    page = visit("rita").page
    page.goto(at.path(0))
    page.keyboard.press("a")
    expect(page.locator("#item-title")).to_contain_text("Ada 1")
    page.keyboard.press("z")
    expect(page.get_by_text("Your answer is taken back")).to_be_visible()
    expect(page.locator("#item-title")).to_contain_text("Ada 0")
    assert decisions(at) == [None] * 4

    page.goto(f"/{at.world.slug}/inbox/")
    page.keyboard.press("x")
    page.keyboard.press("j")
    page.keyboard.press("x")
    expect(page.locator("[data-chosen]")).to_have_text("2")
    page.locator(f"#pick-{at.asked[0]}").focus()
    page.keyboard.press("j")
    expect(page.locator(f"#open-{at.asked[1]}")).to_be_focused()
    expect(page.locator("[data-chosen]")).to_have_text("2")
    page.locator(".many-bar").get_by_role("button", name="Claim").click()
    page.get_by_role("button", name="Claim 2").click()
    expect(page.get_by_text("2 questions claimed.")).to_be_visible()
    expect(page.locator("#inbox-list .row-holder")).to_have_count(2)


def test_list_follows_what_others_decide_and_keeps_focus(visit: Any, at: Desk) -> None:
    page = visit("rita").page
    page.goto(at.path(1))
    row = page.locator(f"#open-{at.asked[2]}")
    row.focus()
    at.change(0, status="decided", decision="approve")
    expect(page.locator(f"#open-{at.asked[0]}")).to_have_count(0)
    expect(row).to_be_focused()
    at.change(1, status="expired")
    expect(page.locator("#item-moot")).to_contain_text("Expired meanwhile")


def test_palette_finds_and_goes(visit: Any, at: Desk) -> None:
    page = visit("rita").page
    page.keyboard.press("/")
    page.get_by_label("Search", exact=True).fill(str(at.asked[2])[-8:])
    expect(page.locator("#palette-found a")).to_have_count(1)
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/inbox/{at.asked[2]}/")
    page.keyboard.press("Control+k")
    page.keyboard.type("runs")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_url("**/runs/")


def test_a_reviewer_decides_on_a_phone(visit: Any, at: Desk) -> None:
    page = visit("rita", **PHONE).page
    page.goto(f"/{at.world.slug}/inbox/")
    expect(page.locator("#item-title")).to_be_hidden()
    page.locator(f"#open-{at.asked[0]}").tap()
    expect(page.locator("#item-title")).to_contain_text("Ada 0")
    expect(page.locator("#inbox-list")).to_be_hidden()
    page.get_by_role("button", name="Approve").tap()
    expect(page.locator("#item-title")).to_contain_text("Ada 1")
    assert decisions(at)[0] == "approve"


def test_a_reviewer_decides_without_scripts(visit: Any, at: Desk) -> None:
    page = visit("rita", java_script_enabled=False).page
    page.get_by_role("link", name="Inbox").click()
    page.get_by_role("link", name="Edit").click()
    page.get_by_label("Arguments").fill('{"amount": 60, "to": "Ada 0"}')
    page.get_by_label("Reason").fill("Half")
    page.get_by_role("button", name="Show what it changes").click()
    expect(page.locator("#difference .is-added")).to_contain_text("60")
    page.get_by_role("button", name="Approve the edit").click()
    expect(page.get_by_text("Approved with your edit.")).to_be_visible()
    assert decisions(at)[0] == "edit"


@pytest.mark.parametrize("scheme", LOOKS)
def test_axe_finds_nothing_in_the_inbox(visit: Any, at: Desk, scheme: str) -> None:
    at.press(3)
    at.change(3, rule="irreversible effect; the run has read untrusted content", required=2, queue="finance")
    visitor = visit("rita", **SCHEMES[scheme])
    for address in (
        f"/{at.world.slug}/inbox/",
        at.path(3),
        at.path(0, "?do=edit"),
        at.path(3, "?do=reject"),
        f"/{at.world.slug}/inbox/?view=decided",
        f"/{at.world.slug}/find/?q={str(at.asked[0])[-8:]}",
    ):
        visitor.page.goto(address)
        assert visitor.findings() == [], address
    visitor.page.locator(".find").click()
    assert visitor.findings() == []

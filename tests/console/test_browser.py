"""The pages in a real Chromium, under the policy they are served with."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import pytest
from django.conf import settings
from playwright.sync_api import Browser, expect

from tenants.models import Tenant
from tests.console import journals
from tests.console.browsing import LOOKS, PHONE, SCHEMES, Visitor, browser, members
from tests.console.conftest import email, peopled
from tests.ports import free_port
from tests.worlds import VERDICT, World

__all__ = ["browser"]


@pytest.fixture
def visit(web_server: str, browser: Browser, acme: World) -> Iterator[Any]:
    with members(browser, web_server, acme) as start:
        yield start


@contextmanager
def serving(environment: dict[str, str], port: int) -> Iterator[subprocess.Popen[str]]:
    """Serve on that port; whoever kills the server has done what is to be done at the end."""
    command = [sys.executable, str(settings.BASE_DIR / "manage.py"), "web", "--port", str(port)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("serving")
        yield process
        process.terminate()


@pytest.fixture
def asked(acme: World) -> UUID:
    """A run that waits for a person."""
    run = acme.submit("refund-desk", {"order": "88213"})
    journals.refund(acme, run.id)
    return run.id


def test_newcomer_signs_in_and_reaches_a_step(visit: Any, acme: World, asked: UUID) -> None:
    page = visit().page
    page.get_by_role("link", name="refund-desk").click()
    expect(page.get_by_role("heading", name="refund-desk")).to_be_visible()
    page.get_by_role("link", name="get_order").click()
    detail = page.get_by_label("Selected step")
    expect(detail).to_contain_text("88213")
    expect(page).to_have_url(f"{page.url.partition('?')[0]}?step=6")
    page.go_back()
    page.reload()
    expect(detail).to_be_visible()


def test_run_goes_on_before_ones_eyes(visit: Any, acme: World, asked: UUID) -> None:
    visitor = visit()
    page = visitor.page
    page.goto(f"/{acme.slug}/runs/{asked}/?step=4")
    question = page.get_by_role("heading", name="A tool call to approve: refund_payment").first
    expect(question).to_be_visible()
    with_text = page.locator("#steps")
    expect(with_text).to_contain_text("waiting")
    escalation = acme.events(asked)[-2].facts["escalation"]

    journals.decide(acme, asked, escalation, by=acme.rita.user_id)

    expect(with_text).to_contain_text("Approved: refund_payment")
    expect(page.locator(".ask")).to_have_count(0)
    expect(page.locator("#run-status")).to_contain_text("Running")
    journals.append(acme, asked, journals.call_tool(3, 0, "refund_payment", {"order_id": "88213"}))
    expect(page.locator("#s-21")).to_contain_text("running")
    journals.append(acme, asked, journals.tool_answers(3, 0, "refund_payment", {"refund": "re_1"}))
    expect(page.locator("#s-21")).to_contain_text("answered")
    journals.complete(acme, asked, {"decision": "approve"})
    expect(page.locator("#run-status")).to_contain_text("Completed")
    expect(page.locator("#run-result")).to_contain_text('"approve"')
    expect(page.locator("#live-line")).to_have_count(0)
    numbers = page.locator("#steps > .step").evaluate_all("rows => rows.map(row => Number(row.id.slice(2)))")
    assert numbers == sorted(set(numbers))
    expect(page.locator("#step-4")).to_have_attribute("aria-current", "true")


def test_live_page_goes_on_without_gap_after_the_server_was_killed(
    browser: Browser, process_environment: dict[str, str], acme: World, asked: UUID
) -> None:
    port = free_port()
    with serving(process_environment, port) as server:
        visitor = Visitor(browser, f"http://127.0.0.1:{port}")
        visitor.sign_in(email(acme, "alice"))
        page = visitor.page
        page.wait_for_url(f"**/{acme.slug}/")
        page.goto(f"/{acme.slug}/runs/{asked}/")
        expect(page.locator("#live-line")).to_contain_text("Live.")
        server.kill()
    expect(page.locator("#live-line")).to_contain_text("The connection was lost")
    journals.append(acme, asked, journals.ask_model(4), journals.model_answers(4, []), journals.ask_model(5))
    with serving(process_environment, port):
        expect(page.locator("#s-21")).to_contain_text("running")
        journals.append(acme, asked, journals.model_answers(5, []))
        expect(page.locator("#s-21")).to_contain_text("3.0k")
        expect(page.locator("#live-line")).to_contain_text("Live.")
        numbers = page.locator("#steps > .step").evaluate_all("rows => rows.map(row => Number(row.id.slice(2)))")
        assert numbers == [1, 2, 3, 4, 6, 7, 10, 12, 14, 15, 17, 19, 21]
        visitor.leave()


def test_list_follows_and_keeps_filter_and_focus(visit: Any, acme: World, asked: UUID) -> None:
    page = visit().page
    page.get_by_label("Status").select_option("waiting")
    expect(page).to_have_url(f"{page.url.partition('?')[0]}?status=waiting&agent=")
    link = page.locator(f"#run-{asked}")
    link.focus()
    other = acme.submit("refund-desk", {"order": "2"})
    journals.refund(acme, other.id)
    expect(page.locator(f"#run-{other.id}")).to_be_visible()
    expect(link).to_be_focused()
    expect(page.get_by_label("Status")).to_have_value("waiting")


def test_keys_move_open_and_explain(visit: Any, acme: World, asked: UUID) -> None:
    page = visit().page
    page.keyboard.press("j")
    expect(page.locator(f"#run-{asked}")).to_be_focused()
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/runs/{asked}/")
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("j")
    expect(page.locator("#step-3")).to_be_focused()
    page.keyboard.press("k")
    page.keyboard.press("Enter")
    expect(page.locator("#step-2")).to_have_attribute("aria-current", "true")
    page.keyboard.press("?")
    expect(page.get_by_role("heading", name="Keyboard shortcuts")).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("g")
    page.keyboard.press("r")
    page.wait_for_url("**/runs/")


def test_event_opens_as_json_in_its_place(visit: Any, acme: World, asked: UUID) -> None:
    page = visit().page
    page.goto(f"/{acme.slug}/runs/{asked}/events/")
    page.locator("#event-6").click()
    expect(page.locator("#json-6")).to_contain_text('"order_id": "88213"')


def test_kinds_can_be_hidden(visit: Any, acme: World, asked: UUID) -> None:
    page = visit().page
    page.goto(f"/{acme.slug}/runs/{asked}/")
    page.get_by_role("button", name="Tools").click()
    expect(page.locator("#s-6")).to_be_hidden()
    expect(page.locator("#s-4")).to_be_visible()


def test_phone_shows_a_step_as_a_sheet_and_closes_it(visit: Any, acme: World, asked: UUID) -> None:
    page = visit(**PHONE).page
    page.goto(f"/{acme.slug}/runs/{asked}/")
    detail = page.get_by_label("Selected step")
    expect(detail).to_be_hidden()
    page.get_by_role("link", name="get_order").click()
    expect(detail).to_be_visible()
    page.get_by_label("Close").click()
    expect(detail).to_be_hidden()
    page.get_by_label("Open menu").click()
    expect(page.get_by_role("navigation", name="Main").get_by_role("link", name="Runs")).to_be_visible()


def test_pages_are_readable_without_scripts(visit: Any, acme: World, asked: UUID) -> None:
    visitor = visit(java_script_enabled=False)
    page = visitor.page
    expect(page.get_by_text("UTC").first).to_be_visible()
    page.get_by_label("Status").select_option("waiting")
    page.get_by_role("button", name="Filter").click()
    page.get_by_role("link", name="refund-desk").click()
    page.get_by_role("link", name="get_order").click()
    expect(page.get_by_label("Selected step")).to_contain_text("88213")
    expect(page.get_by_text("Reload the page to see what is new.")).to_be_visible()
    page.get_by_role("link", name="Events").click()
    page.locator("#event-6").click()
    page.locator("#json-6 a").click()
    expect(page.get_by_text("toolu_1_0")).to_be_visible()


def test_colours_are_chosen_in_the_account_menu(visit: Any, acme: World) -> None:
    page = visit().page
    page.get_by_label("Account of").click()
    page.get_by_role("button", name="Dark", exact=True).click()
    ground = page.locator("body").evaluate("body => getComputedStyle(body).backgroundColor")
    assert ground == "rgb(14, 17, 23)"


@pytest.mark.parametrize("scheme", LOOKS)
def test_axe_finds_nothing_and_nothing_is_wider_than_the_screen(
    visit: Any, acme: World, asked: UUID, scheme: str
) -> None:
    long_name = "the-very-long-name-of-an-agent-that-somebody-in-claims-thought-of"[:63].rstrip("-")
    acme.define(long_name, role="Long", output_schema=VERDICT)
    Tenant.objects.filter(id=acme.tenant_id).update(name="Northern Mutual Insurance and Reinsurance Cooperative")
    done = acme.submit(long_name, {"order": "88213", "note": "مرحبا بالعالم"})
    journals.begin(acme, done.id)
    journals.complete(acme, done.id, {"decision": "approve", "reason": "x" * 300})
    stranger = visit(None, **SCHEMES[scheme])
    stranger.page.goto("/accounts/login/")
    assert stranger.findings() == []
    visitor = visit("rita", **SCHEMES[scheme])
    base = f"/{acme.slug}/runs/"
    for address in (
        base,
        f"{base}?status=failed",
        f"{base}{asked}/",
        f"{base}{done.id}/?step=3",
        f"{base}{asked}/events/",
        "/?choose",
    ):
        visitor.page.goto(address)
        assert visitor.findings() == [], address


def test_axe_finds_nothing_in_an_empty_tenant(visit: Any, web_server: str, database: None) -> None:
    empty = peopled()
    visitor = visit(None)
    visitor.sign_in(email(empty, "alice"))
    assert visitor.findings() == []
    visitor.page.goto(f"/{empty.slug}/runs/")
    expect(visitor.page.get_by_role("heading", name="No run yet")).to_be_visible()
    assert visitor.findings() == []
    options = visitor.page.locator(".empty .unbroken")
    assert options.all_inner_texts() == ["--name first", "--scopes runs:read,runs:write"]
    assert options.evaluate_all("found => found.map(each => each.getClientRects().length)") == [1, 1]

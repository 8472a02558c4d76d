"""Every page of work as a browser shows it: what axe finds, and what is wider than the screen."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from tenants.models import Role, User
from tests.console import journals
from tests.console.browsing import LOOKS, SCHEMES, browser, members
from tests.console.conftest import email, hashed, peopled
from tests.worlds import LOOKUP, PAY, VERDICT, World

__all__ = ["browser"]


@pytest.fixture
def desk(database: None) -> World:
    made = peopled()
    made.member("olivia", Role.OWNER)
    User.objects.filter(email=f"olivia@{made.slug}.example").update(password=hashed())
    made.define("payments", role="Pays", output_schema=VERDICT, tool_specs={"pay": PAY, "lookup": LOOKUP})
    return made


@pytest.fixture
def visit(web_server: str, browser: Browser, desk: World) -> Iterator[Any]:
    with members(browser, web_server, desk) as start:
        yield start


@pytest.mark.parametrize("scheme", LOOKS)
def test_axe_finds_nothing_on_the_pages_of_operators(visit: Any, desk: World, scheme: str) -> None:
    run = desk.submit("payments", {"order": "1"})
    journals.refund(desk, run.id)
    visitor = visit("alice", **SCHEMES[scheme])
    for page in (
        "agents/",
        "agents/payments/",
        "agents/payments/draft/",
        "agents/new/",
        "agents/payments/run/",
        "agents/payments/stop/",
        "tools/",
        "tools/pay/",
        "tools/pay/define/",
        "policies/",
        "policies/new/",
        "usage/",
        "usage/?by=agent",
        "usage/budgets/new/",
        f"runs/{run.id}/?do=guide",
        f"runs/{run.id}/conversation/",
        f"runs/{run.id}/record/",
    ):
        visitor.page.goto(f"/{desk.slug}/{page}")
        assert visitor.findings() == [], page


@pytest.mark.parametrize("scheme", LOOKS)
def test_axe_finds_nothing_on_the_pages_of_owners(visit: Any, desk: World, scheme: str) -> None:
    desk.submit("payments", {"order": "1"})
    visitor = visit("olivia", **SCHEMES[scheme])
    me = User.objects.get(email=f"olivia@{desk.slug}.example").id
    for page in (
        "",
        "settings/members/",
        f"settings/members/{me}/",
        "settings/service-accounts/",
        "settings/teams/",
        "settings/teams/new/",
        "settings/sign-in/",
        "settings/sign-in/providers/new/",
        "settings/delegations/",
        "settings/general/",
        "developers/",
        "developers/keys/",
        "developers/webhooks/",
    ):
        visitor.page.goto(f"/{desk.slug}/{page}")
        assert visitor.findings() == [], page


def test_runaway_agent_is_stopped_from_the_palette_with_the_count_shown_first(visit: Any, desk: World) -> None:
    runs = [desk.submit("payments", {"order": str(number)}) for number in range(3)]
    page = visit("alice").page
    page.keyboard.press("/")
    page.get_by_placeholder("An agent, a tool").fill("stop pay")
    page.get_by_role("link", name="Stop payments").click()
    expect(page.get_by_text("3 runs of it are under way")).to_be_visible()
    page.get_by_label("Why").fill("It pays twice.")
    page.get_by_role("button", name="Stop it").click()
    expect(page.get_by_text("No new run of it begins", exact=True)).to_be_visible()
    expect(page.get_by_text("It pays twice.")).to_be_visible()
    assert {desk.actions(run.id)[-1] for run in runs} == {"run.cancel_requested"}
    page.get_by_role("button", name="Let it go on").click()
    expect(page.get_by_text("takes new runs again")).to_be_visible()


def test_operator_builds_an_agent_with_two_tools_rehearses_and_publishes_it(visit: Any, desk: World) -> None:
    page = visit("alice").page
    page.goto(f"/{desk.slug}/agents/new/")
    page.get_by_label("Name").fill("clerk")
    page.get_by_label("Role").fill("Pays what is owed, and nothing twice.")
    page.get_by_label("pay", exact=True).check()
    page.get_by_label("lookup", exact=True).check()
    expect(page.get_by_role("group", name="System prompt")).to_contain_text("nothing twice")  # beside it, while typing
    expect(page.get_by_text("pay: its description is vague.")).to_be_visible()
    page.get_by_role("button", name="Save the draft").click()
    page.get_by_role("link", name="Rehearse the draft").click()
    page.get_by_role("button", name="Start it").click()
    expect(page.get_by_role("heading", name="clerk v1")).to_be_visible()
    page.goto(f"/{desk.slug}/agents/clerk/")
    expect(page.get_by_text("not published")).to_be_visible()
    page.get_by_role("button", name="Publish").first.click()
    expect(page.get_by_text("Version 1 is live")).to_be_visible()
    page.get_by_label("To", exact=True).fill(email(desk, "rita"))
    page.get_by_label("To let them").select_option("run")
    page.get_by_role("button", name="Grant it").click()
    expect(page.get_by_role("button", name="Take back")).to_be_visible()

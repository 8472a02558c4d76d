"""Every page of work as a browser shows it: what axe finds, and what is wider than the screen."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser

from tenants.models import Role, User
from tests.console import journals
from tests.console.browsing import SCHEMES, browser, members
from tests.console.conftest import hashed, peopled
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


@pytest.mark.parametrize("scheme", SCHEMES)
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


@pytest.mark.parametrize("scheme", SCHEMES)
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

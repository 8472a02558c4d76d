"""Single sign-on and invitations in a real Chromium, against a provider that others wrote."""

import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.error import URLError

import pytest
from django.conf import settings
from playwright.sync_api import Browser, ConsoleMessage, Route, expect

from tenants.models import Role
from tests.console.browsing import SCHEMES, Visitor, browser, visiting
from tests.console.conftest import PASSWORD, email
from tests.ports import free_port
from tests.signin.idp import CLIENT_ID, CLIENT_SECRET
from tests.signin.sso import change, domain, person, provide, told
from tests.signin.test_invitations import invite, stranger
from tests.worlds import World

__all__ = ["browser"]

Json = Any


@dataclass(frozen=True)
class Places:
    """A web server of ours and a provider of others', each a process. place: the provider's host and port."""

    ours: str
    issuer: str
    place: str


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url) as answer:
            return bool(answer.status == 200)
    except URLError:
        return False


@pytest.fixture(scope="module")
def places(process_environment: dict[str, str]) -> Iterator[Places]:
    ours, theirs = free_port(), free_port()
    made = Places(f"http://127.0.0.1:{ours}", f"http://127.0.0.1:{theirs}", f"127.0.0.1:{theirs}")
    provider = [sys.executable, "-m", "oidc_provider_mock", "--port", str(theirs), "--require-nonce", "true"]
    web = [sys.executable, str(settings.BASE_DIR / "manage.py"), "web", "--port", str(ours)]
    environment = process_environment | {"BASE_URL": made.ours, "EGRESS_ALLOW": made.place}
    with (
        subprocess.Popen(provider, env=dict(os.environ), stderr=subprocess.DEVNULL) as mock,
        subprocess.Popen(web, env=environment, stdout=subprocess.PIPE, text=True) as server,
    ):
        assert server.stdout is not None
        assert server.stdout.readline().startswith("serving")
        while mock.poll() is None and not answers(f"{made.issuer}/.well-known/openid-configuration"):
            time.sleep(0.1)
        yield made
        mock.terminate()
        server.terminate()


@pytest.fixture
def corp(acme: World, places: Places, settings: Any) -> World:
    """Acme, with the provider."""
    settings.EGRESS_ALLOW = (places.place,)
    provide(acme, places)  # type: ignore[arg-type]  # it has an issuer, which is all that is asked
    return acme


class Guest(Visitor):
    """Listens to what the browser says of our pages; the provider's are its own affair."""

    def _heard(self, message: ConsoleMessage) -> None:
        of_ours = message.location["url"].startswith(self.address)
        if of_ours and not re.search(r"status of 40[34]", message.text):  # pages that say no say so by their status too
            super()._heard(message)

    def __init__(self, browser: Browser, address: str, **options: Any) -> None:
        self.address = address
        super().__init__(browser, address, **options)


@pytest.fixture
def visit(browser: Browser, places: Places) -> Iterator[Any]:
    with visiting(lambda **options: Guest(browser, places.ours, **options)) as start:
        yield start


def known_there(places: Places, claims: dict[str, Json]) -> str:
    """Let the provider know a person; return the name they sign in with there."""
    subject = str(claims.pop("sub"))
    request = urllib.request.Request(
        f"{places.issuer}/users/{subject}",
        data=json.dumps(claims).encode(),
        headers={"Content-Type": "application/json"},
        method="PUT",
    )
    urllib.request.urlopen(request).close()
    return subject


def sign_in_there(visitor: Visitor, subject: str) -> None:
    visitor.page.get_by_placeholder("sub").fill(subject)
    visitor.page.get_by_role("button", name="Authorize").click()


def test_person_comes_in_through_their_own_provider(corp: World, places: Places, visit: Any) -> None:
    alice = known_there(places, person(corp, "alice"))
    visitor = visit()
    visitor.page.goto(f"/{corp.slug}/runs/?status=failed")
    visitor.page.get_by_role("link", name="single sign-on").click()
    visitor.page.get_by_label("E-mail or tenant").fill(email(corp, "alice"))
    visitor.page.get_by_role("button", name="Continue").click()
    visitor.page.wait_for_url(f"{places.issuer}/**")
    sign_in_there(visitor, alice)
    visitor.page.wait_for_url(f"{places.ours}/{corp.slug}/runs/?status=failed")
    assert visitor.findings() == []
    assert told(corp.tenant_id, "login.succeeded")[0][3]["steps"] == ["socialaccount"]


def test_person_joins_and_comes_again(corp: World, places: Places, visit: Any) -> None:
    change(
        corp,
        issuer=places.issuer,
        client_id=CLIENT_ID,
        client_secret=CLIENT_SECRET,
        name="Corp Login",
        domains=[domain(corp)],
        joins_as=Role.VIEWER,
    )
    newcomer = known_there(places, person(corp, "newcomer"))
    for _ in range(2):
        visitor = visit()
        visitor.page.goto(f"/accounts/sso/{corp.slug}/")
        visitor.page.get_by_role("button", name="Continue with Corp Login").click()
        sign_in_there(visitor, newcomer)
        visitor.page.wait_for_url(f"{places.ours}/{corp.slug}/")
    assert len(told(corp.tenant_id, "identity.bound")) == 1


def test_person_who_changes_their_mind_is_told_so(corp: World, places: Places, visit: Any) -> None:
    visitor = visit()
    visitor.page.goto(f"/accounts/sso/{corp.slug}/")
    visitor.page.get_by_role("button", name="Continue with Corp Login").click()
    visitor.page.get_by_role("button", name="Deny").click()
    expect(visitor.page.get_by_role("heading", name="You were not signed in")).to_be_visible()


def test_member_whose_tenant_asks_for_its_provider_is_led_there(corp: World, places: Places, visit: Any) -> None:
    change(
        corp,
        issuer=places.issuer,
        client_id=CLIENT_ID,
        client_secret=CLIENT_SECRET,
        name="Corp Login",
        domains=[domain(corp)],
        enforced=True,
    )
    alice = known_there(places, person(corp, "alice"))
    visitor = visit()
    visitor.sign_in(email(corp, "alice"))
    visitor.page.get_by_role("button", name="Continue with Corp Login").click()
    sign_in_there(visitor, alice)
    visitor.page.wait_for_url(f"{places.ours}/{corp.slug}/**")
    visitor.page.goto("/accounts/password/change/")
    expect(visitor.page.get_by_role("heading", name="Not from this session")).to_be_visible()
    assert visitor.findings() == []


def test_newcomer_accepts_an_invitation(acme: World, places: Places, visit: Any) -> None:
    visitor, token = visit(), invite(acme, stranger())
    visitor.page.goto(f"/accounts/invitations/{token}/")
    assert token not in visitor.page.url
    visitor.page.get_by_label("Your name").fill("Nina New")
    visitor.page.get_by_label("A password").fill(PASSWORD)
    visitor.page.get_by_role("button", name="Make the account and accept").click()
    visitor.page.wait_for_url(f"{places.ours}/{acme.slug}/")
    assert visitor.findings() == []


@pytest.mark.parametrize("look", SCHEMES)
def test_pages_are_fit_for_everybody(corp: World, places: Places, visit: Any, look: str) -> None:
    token = invite(corp, stranger())
    for path in (
        "/accounts/login/",
        "/accounts/sso/",
        f"/accounts/sso/{corp.slug}/",
        "/accounts/sso/no-such-tenant/",
        f"/accounts/sso/{corp.slug}/corp/callback/?state=1&code=2",
        f"/accounts/invitations/{token}/",
        "/accounts/invitations/no-such-invitation/",
    ):
        visitor = visit(**SCHEMES[look])
        visitor.page.goto(path)
        assert visitor.findings() == [], path


@pytest.mark.parametrize("look", SCHEMES)
def test_page_that_leads_on_is_fit_for_everybody(corp: World, places: Places, visit: Any, look: str) -> None:
    def stays(route: Route) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, body=answer.text().replace('http-equiv="refresh"', 'name="refresh"'))

    visitor = visit(**SCHEMES[look])
    visitor.page.route(f"{places.ours}/accounts/sso/{corp.slug}/corp/", stays)
    visitor.page.goto(f"/accounts/sso/{corp.slug}/")
    visitor.page.get_by_role("button", name="Continue with Corp Login").click()
    expect(visitor.page.get_by_role("heading", name="On to Corp Login")).to_be_visible()
    assert visitor.findings() == []

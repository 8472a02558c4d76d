"""Nothing is changed by a request that another site made a browser send."""

import os
import subprocess
import sys

import pytest
from django.conf import settings
from django.test import Client
from pytest_django import Settings

from ops import deploy_check
from tests.api.conftest import Caller
from tests.console.conftest import peopled, signed_in
from tests.web.conftest import Route, routes
from tests.worlds import World

pytestmark = pytest.mark.usefixtures("database")

UNSAFE = ("POST", "PUT", "PATCH", "DELETE")

#: Addresses of no session: the interface takes keys only, and a report changes nothing.
WITHOUT_TOKEN = {"reports"}


def is_interface(route: Route) -> bool:
    return route.path.startswith(("/api/", "/log/"))


def test_the_walk_finds_the_addresses() -> None:
    names = {route.name for route in routes()}

    assert {"home", "theme", "account_login", "account_logout", "runs", "reports", "healthz"} <= names


def test_every_page_refuses_a_change_without_a_token() -> None:
    acme = peopled()
    client = signed_in(acme, "alice")
    client.handler.enforce_csrf_checks = True
    pages = [route for route in routes() if not is_interface(route) and route.name not in WITHOUT_TOKEN]
    assert len(pages) > 15

    for route in pages:
        for method in UNSAFE:
            answer = client.generic(method, route.path.replace("nobody", acme.slug))
            assert answer.status_code == 403, (method, route)
            assert "This page was too old to send" in answer.content.decode(), (method, route)


def test_another_sites_origin_is_refused_even_with_a_token() -> None:
    client = Client(enforce_csrf_checks=True, headers={"Origin": "https://evil.example"})
    client.get("/accounts/login/")
    token = client.cookies[settings.CSRF_COOKIE_NAME].value

    assert client.post("/theme/", {"theme": "dark", "csrfmiddlewaretoken": token}).status_code == 403


def test_the_interface_knows_no_session(globex: World) -> None:
    client = signed_in(peopled(), "alice")

    for route in routes():
        if not route.path.startswith("/api/v1/"):
            continue
        for method in ("GET", *UNSAFE):
            answer = client.generic(method, route.path)
            assert answer.status_code in {401, 404}, (method, route)
            assert answer["Content-Type"] == "application/problem+json"


def test_a_key_does_not_open_pages(alice: Caller) -> None:
    client = Client(headers={"Authorization": f"Bearer {alice.key}"})

    assert client.get("/", follow=False).status_code == 302


@pytest.mark.parametrize("production", [True, False])
def test_cookies_stay_with_this_host_and_out_of_scripts(production: bool, settings: Settings) -> None:
    settings.SESSION_COOKIE_SECURE = settings.CSRF_COOKIE_SECURE = production
    ours = {settings.SESSION_COOKIE_NAME, settings.CSRF_COOKIE_NAME}

    cookies = signed_in(peopled(), "alice").cookies

    assert ours <= cookies.keys()
    for name, cookie in cookies.items():
        assert cookie["httponly"], name
        assert cookie["samesite"] == "Lax", name
        assert not cookie["domain"], name
    for name in ours:
        assert cookies[name]["path"] == "/"
        assert bool(cookies[name]["secure"]) is production


def test_in_production_cookies_bind_to_the_host() -> None:
    names = ("SESSION_COOKIE_NAME", "CSRF_COOKIE_NAME", "SESSION_COOKIE_SECURE", "CSRF_COOKIE_SECURE")
    program = f"from django.conf import settings; print(*(getattr(settings, name) for name in {names}))"
    environment = {**os.environ, **deploy_check.environment()}

    told = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)

    assert told.stdout.split() == ["__Host-sessionid", "__Host-csrftoken", "True", "True"]
    assert (settings.SESSION_COOKIE_PATH, settings.SESSION_COOKIE_DOMAIN) == ("/", None)

"""A real Chromium: its start, sessions in it, what it may complain of, and what axe finds."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect, sync_playwright

from tests.console.conftest import PASSWORD, email
from tests.worlds import World

CHROMIUM = "/usr/bin/chromium"

#: How long a page may take to show what it will, in milliseconds; a slow machine is no failure.
PATIENCE_MS = 60_000
FLAGS = [
    "--no-sandbox",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]

PHONE: dict[str, Any] = {"viewport": {"width": 360, "height": 780}, "has_touch": True}
SCHEMES: dict[str, dict[str, Any]] = {
    "light": {"color_scheme": "light"},
    "dark": {"color_scheme": "dark"},
    "phone": PHONE,
}

#: The same as cases of a test. A phone shows a page in light colours, so that a large screen's light page adds least.
LOOKS = [pytest.param("light", marks=pytest.mark.large), "dark", "phone"]


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start the browser. Its driver runs an event loop in this thread, beside which the tests use the ORM as ever."""
    with pytest.MonkeyPatch.context() as environment, sync_playwright() as playwright:
        environment.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
        expect.set_options(timeout=PATIENCE_MS)
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser for the tests of one file."""
    with chromium() as started:
        yield started


class Visitor:
    """One browser session against the server; collects everything the browser complains of."""

    def __init__(self, browser: Browser, address: str, **options: Any) -> None:
        settings: dict[str, Any] = {"viewport": {"width": 1440, "height": 900}, "color_scheme": "light", **options}
        self.context: BrowserContext = browser.new_context(base_url=address, **settings)
        self.page: Page = self.context.new_page()
        self.complaints: list[str] = []
        self.page.on("console", self._heard)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.complaints.append(message.text)

    def sign_in(self, email: str) -> None:
        """Use the sign-in page."""
        self.page.goto("/")
        self.page.get_by_label("E-mail").fill(email)
        self.page.get_by_label("Password").fill(PASSWORD)
        self.page.get_by_role("button", name="Sign in").click()

    def findings(self) -> list[str]:
        """Return what axe finds on the page as it stands, in a line each, and whether it is wider than the screen."""
        found = Axe().run(self.page).response["violations"]
        width, room = self.page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        return [
            *(
                f"{violation['id']}: {node['html'][:160]} {node.get('failureSummary', '')[:300]}"
                for violation in found
                for node in violation["nodes"]
            ),
            *([f"{width} px wide on a screen of {room}"] if width > room else []),
        ]

    def leave(self) -> None:
        """End the session."""
        self.context.close()


@contextmanager
def visiting(begin: Callable[..., Visitor]) -> Iterator[Callable[..., Visitor]]:
    """Open sessions by `begin`; at the end none of them may have made the browser complain."""
    visitors: list[Visitor] = []

    def start(*who: Any, **options: Any) -> Visitor:
        visitors.append(begin(*who, **options))
        return visitors[-1]

    yield start
    for visitor in visitors:
        visitor.leave()
        assert visitor.complaints == [], visitor.complaints


@contextmanager
def members(browser: Browser, address: str, world: World) -> Iterator[Callable[..., Visitor]]:
    """Open sessions of members, by their names, or with None of a stranger."""

    def begin(name: str | None = "alice", **options: Any) -> Visitor:
        visitor = Visitor(browser, address, **options)
        if name:
            visitor.sign_in(email(world, name))
            visitor.page.wait_for_url(f"**/{world.slug}/")
            visitor.page.goto(f"/{world.slug}/runs/")
        return visitor

    with visiting(begin) as start:
        yield start

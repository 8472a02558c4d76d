"""The documentation: its page in a real Chromium, and its example as it would be pasted."""

import os
import re
import subprocess
import sys

from django.conf import settings
from playwright.sync_api import expect

from agents.engine.driver import Driver
from tests.api.conftest import Caller
from tests.console.browsing import Visitor, chromium
from tests.worlds import World


def test_the_page_shows_every_call_without_a_complaint(web_server: str) -> None:
    with chromium() as browser:
        visitor = Visitor(browser, web_server)
        visitor.page.goto("/api/docs")
        visitor.page.locator("#operations-tag-runs").click()
        visitor.page.locator("#operations-runs-startRun").click()

        expect(visitor.page.get_by_text("it makes no second run")).to_be_visible()
        visitor.leave()
    assert visitor.complaints == []


def test_the_example_works_as_pasted(web_server: str, acme: World, alice: Caller, driver: Driver) -> None:
    acme.define("loan-review", role="You are slow.")
    written = (settings.BASE_DIR / "docs" / "api.md").read_text()
    [example] = re.findall(r"```python\n(.*?)```", written, re.DOTALL)

    ran = subprocess.run(
        [sys.executable, "-c", example.replace("http://localhost:8000", web_server)],
        env={**os.environ, "KEY": alice.key or ""},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert ran.returncode == 0, ran.stderr
    *events, end = ran.stdout.splitlines()
    assert "run.completed" in events[-1]
    assert end == "{'status': 'completed'}"

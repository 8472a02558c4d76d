"""Makes the pictures of the console that README.md and the manuals show: `make screenshots`.

A new demo installation is started, real people of it sign in with a real Chromium, and each page is taken as it stands.
The pictures are ours, made of invented people; they are made anew when the pages change.
"""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
PICTURES = ROOT / "docs" / "pictures"
CHROMIUM = "/usr/bin/chromium"

#: How large a picture may be, in bytes, so that the repository stays small.
MOST_BYTES = 150_000

#: For how long the demo's runs are waited for, in seconds.
PATIENCE_S = 300


@dataclass(frozen=True)
class Picture:
    """One picture. way: texts of links to follow, from the page at `path`; scheme: light or dark."""

    name: str
    who: str
    path: str
    way: tuple[str, ...] = ()
    scheme: str = "light"
    width: int = 1280
    height: int = 800


SHOWN = (
    Picture("home", "rita", "/acme/"),
    Picture("inbox", "rita", "/acme/inbox/", way=(".inbox-row",)),
    Picture("inbox-phone", "rita", "/acme/inbox/", way=(".inbox-row",), scheme="dark", width=390, height=780),
    Picture("run", "omar", "/acme/runs/?status=completed&agent=loan-review", way=("[data-line]",)),
    Picture("tree", "omar", "/acme/runs/?status=completed&agent=credit-committee", way=("[data-line]",)),
    Picture("agent", "omar", "/acme/agents/loan-review/draft/", height=720),
    Picture("audit", "carl", "/acme/audit/", scheme="dark"),
)


def main() -> int:
    """Start the demo, take the pictures, stop it; return 0 when none is larger than it may be."""
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)  # noqa: S103 - PostgreSQL's own user goes through it
        environment = os.environ | {"DATA_DIR": f"{folder}/data"}
        for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL", "DATABASE_URL", "DATABASE_OWNER_URL"):
            environment.pop(name, None)
        demo = subprocess.Popen(
            [sys.executable, str(ROOT / "manage.py"), "demo", "--port", "0"],
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            _take_all(*_said(demo))
        finally:
            os.killpg(demo.pid, signal.SIGINT)
            demo.wait()
    large = [path.name for path in PICTURES.glob("*.png") if path.stat().st_size > MOST_BYTES]
    if large:
        sys.stderr.write(f"Larger than {MOST_BYTES} bytes: {', '.join(large)}\n")
    return 1 if large else 0


def _said(demo: "subprocess.Popen[str]") -> tuple[str, str]:
    """Return the demo's address and the password of its people."""
    address = ""
    for line in demo.stdout or ():
        if line.startswith("ready "):
            address = line.split()[1]
        if found := re.search(r"the password of all is (\S+)", line):
            return address, found[1]
    raise SystemExit("The demo did not start.")


def _take_all(address: str, password: str) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for picture in SHOWN:
            page = _signed_in(browser, address, password, picture)
            page.goto(picture.path)
            for link in picture.way:
                _wait_for(page, link)
                page.locator(link).first.click()
                page.wait_for_load_state()
            page.wait_for_timeout(500)
            page.screenshot(path=PICTURES / f"{picture.name}.png", animations="disabled")
            page.context.close()
            sys.stdout.write(f"{picture.name}\n")
        browser.close()


def _signed_in(browser: Browser, address: str, password: str, picture: Picture) -> Page:
    room = {"width": picture.width, "height": picture.height}
    dark = picture.scheme == "dark"
    page = browser.new_context(
        base_url=address, viewport=room, color_scheme="dark" if dark else "light", locale="en-GB", timezone_id="UTC"
    ).new_page()
    page.goto("/accounts/login/")
    page.get_by_label("E-mail").fill(f"{picture.who}@acme.example")
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/acme/")
    return page


def _wait_for(page: Page, link: str) -> None:
    """Wait until the demo's runs have come so far that there is something to open."""
    until = time.monotonic() + PATIENCE_S
    while not page.locator(link).count() and time.monotonic() < until:
        page.wait_for_timeout(1000)
        page.reload()


if __name__ == "__main__":
    raise SystemExit(main())

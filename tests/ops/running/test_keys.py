"""New keys while runs go on, process by process (docs/running.md, "Keys")."""

import http.cookiejar
import re
import secrets
import urllib.parse
import urllib.request
from pathlib import Path

import pytest

from ops.demo import cast
from tests.journeys.running import Demo
from tests.ops.running import fleet, manual
from tests.ops.running.fleet import Fleet, Load
from tests.ops.running.postgres import Postgres

pytestmark = [pytest.mark.large, pytest.mark.timeout(900)]


class Browser:
    """Somebody signed in, with the cookies of the demo's own web server."""

    def __init__(self) -> None:
        self.jar = http.cookiejar.CookieJar()
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.jar))

    def page(self, url: str, form: dict[str, str] | None = None) -> tuple[str, str]:
        """Get or post; return where it led to, and the page."""
        data = urllib.parse.urlencode(form).encode() if form else None
        request = urllib.request.Request(url, data, headers={"Referer": url})
        with self._opener.open(request, timeout=30) as answer:
            return urllib.parse.urlsplit(answer.url).path, answer.read().decode()

    def sign_in(self, url: str, email: str, password: str) -> None:
        """Sign in with a password."""
        _, page = self.page(f"{url}/accounts/login/")
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
        assert token is not None
        self.page(f"{url}/accounts/login/", {"csrfmiddlewaretoken": token[1], "login": email, "password": password})
        assert self.is_in(url)

    def is_in(self, url: str) -> bool:
        """Whether its session is known there."""
        return not self.page(f"{url}/acme/runs/")[0].startswith("/accounts/login")


def rolled(many: Fleet, load: Load, **changes: str) -> None:
    """Replace every process by one with these settings, while the load goes on."""
    many.environment |= changes
    for process in list(many.processes):
        many.replace(process)
    assert load.goes_on(), many.said()


def start_fleet(many: Fleet) -> None:
    for kind in ("web", "qcluster"):
        many.start(kind)


def check(load: Load) -> None:
    assert load.failures == []
    assert set(load.started) == set(load.ended)
    assert set(load.ended.values()) == {"completed"}


def environment(running: Demo, **more: str) -> dict[str, str]:
    return {**running.child_environment(), "TRUST_PROXY": "1", **more}


def test_field_keys_change_under_load(data_dir: Path, external: Postgres) -> None:
    new = secrets.token_urlsafe(32)
    with fleet.stage(data_dir, external) as running:
        old = (data_dir / "secrets" / "field_keys").read_text().strip()
        with Fleet(environment(running, FIELD_KEYS=old), data_dir) as many, fleet.proxy(many) as front:
            start_fleet(many)
            # Each run of it calls a tool with a secret.
            with Load(fleet.api(running, front.url)) as load:
                assert load.goes_on(), many.said()
                rolled(many, load, FIELD_KEYS=f"{old},{new}")
                rolled(many, load, FIELD_KEYS=f"{new},{old}")
                said = manual.run("FIELD_KEYS", 0, many.environment, at=data_dir)
                assert "still needed" not in said
                assert said.count("may go") == 2  # rotating says so, and so does looking
                rolled(many, load, FIELD_KEYS=new)
            check(load)


def test_secret_key_changes_under_load_and_signs_nobody_out(data_dir: Path, external: Postgres) -> None:
    new = secrets.token_urlsafe(48)
    with fleet.stage(data_dir, external) as running:
        old = (data_dir / "secrets" / "secret_key").read_text().strip()
        with Fleet(environment(running, SECRET_KEY=old), data_dir) as many, fleet.proxy(many) as front:
            start_fleet(many)
            ada = Browser()
            ada.sign_in(many.urls()[0], fleet.DEVELOPER, cast.password(old))
            api = fleet.api(running, front.url)
            with Load(api) as load:
                assert load.goes_on(3), many.said()
                cursor = api.get("runs?limit=1")["next"]
                rolled(many, load, SECRET_KEY=old, SECRET_KEY_FALLBACKS=new)
                rolled(many, load, SECRET_KEY=new, SECRET_KEY_FALLBACKS=old)
                assert ada.is_in(many.urls()[0])
                assert api.get(f"runs?limit=1&cursor={cursor}")["results"]
                rolled(many, load, SECRET_KEY=new, SECRET_KEY_FALLBACKS="")
                assert ada.is_in(many.urls()[0])  # its session was signed anew when it was last used
                assert api.status(f"runs?limit=1&cursor={cursor}") == 400
            check(load)


def test_another_login_serves_in_place_of_one_whose_password_changes(data_dir: Path, external: Postgres) -> None:
    with fleet.stage(data_dir, external) as running:
        with external.connect() as connection:
            connection.execute("CREATE ROLE web2 LOGIN PASSWORD 'another' IN ROLE countersign_app")
        external.passwords["web2"] = "another"
        with Fleet(environment(running), data_dir) as many, fleet.proxy(many) as front:
            start_fleet(many)
            with Load(fleet.api(running, front.url)) as load:
                rolled(many, load, DATABASE_URL=external.url("web2"))
                with external.connect() as connection:
                    connection.execute("ALTER ROLE countersign_app PASSWORD 'changed'")
                assert load.goes_on(), many.said()
            check(load)

"""`manage.py web`, the web server alone."""

import json
import urllib.request
from typing import Any

import pytest

from ops import serving

EVERYWHERE = "0.0.0.0"  # noqa: S104 - let go of at once


def test_it_serves_this_runs_database(web_server: str) -> None:
    with urllib.request.urlopen(f"{web_server}/readyz") as answer:
        assert json.load(answer) == {"status": "ready"}


def test_it_does_not_say_what_it_is_made_of(web_server: str) -> None:
    with urllib.request.urlopen(f"{web_server}/healthz") as answer:
        assert answer.headers["Server"] is None
        assert "unsafe" not in answer.headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    ("host", "answered", "said"),
    [(EVERYWHERE, ["localhost"], True), ("127.0.0.1", ["localhost"], False), (EVERYWHERE, ["c.example"], False)],
)
def test_it_says_when_it_answers_nobody_who_reaches_it(
    host: str, answered: list[str], said: bool, settings: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.ALLOWED_HOSTS = answered

    serving.bind(host, 0).close()

    assert ("name the hosts that people use in ALLOWED_HOSTS" in capsys.readouterr().err) == said

"""`manage.py web`, the web server alone."""

import json
import urllib.request


def test_it_serves_this_runs_database(web_server: str) -> None:
    with urllib.request.urlopen(f"{web_server}/readyz") as answer:
        assert json.load(answer) == {"status": "ready"}


def test_it_does_not_say_what_it_is_made_of(web_server: str) -> None:
    with urllib.request.urlopen(f"{web_server}/healthz") as answer:
        assert answer.headers["Server"] is None
        assert "unsafe" not in answer.headers["Content-Security-Policy"]

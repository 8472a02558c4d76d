"""Browsers' reports are logged in a few fields, and nobody can fill the log or the memory with them."""

import json
import logging
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from web import reports

pytestmark = pytest.mark.usefixtures("limits")

OLD = {
    "csp-report": {
        "document-uri": "https://c.example/acme/runs/",
        "blocked-uri": "inline",
        "violated-directive": "script-src",
        "original-policy": "default-src 'self'",
        "line-number": 7,
    }
}
NEW = [
    {
        "type": "csp-violation",
        "age": 1,
        "body": {"documentURL": "https://c.example/", "blockedURL": "https://evil.example/x.js", "sample": "alert(1)"},
    }
]


def send(told: Any, content_type: str = "application/csp-report") -> int:
    body = told if isinstance(told, bytes) else json.dumps(told).encode()
    return Client(enforce_csrf_checks=True).generic("POST", "/csp-reports", body, content_type).status_code


def logged(caplog: pytest.LogCaptureFixture) -> list[dict[str, str]]:
    return [vars(record)["report"] for record in caplog.records if record.name == reports.__name__]


def test_a_report_is_logged_by_what_is_known(caplog: pytest.LogCaptureFixture) -> None:
    assert send(OLD) == 204
    assert send(NEW, "application/reports+json") == 204

    assert logged(caplog) == [
        {"page": "https://c.example/acme/runs/", "blocked": "inline", "directive": "script-src", "line": "7"},
        {"page": "https://c.example/", "blocked": "https://evil.example/x.js"},
    ]


def test_so_many_are_logged_and_no_more(caplog: pytest.LogCaptureFixture, limits: Callable[..., None]) -> None:
    limits(reports=5)

    statuses = [send(OLD) for _ in range(8)]

    assert statuses == [204] * 5 + [429] * 3
    assert len(logged(caplog)) == 5


def test_of_one_batch_only_the_first_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    assert send(NEW * 40, "application/reports+json") == 204

    assert len(logged(caplog)) == reports.MAX_REPORTS


@pytest.mark.parametrize(
    ("told", "content_type", "status"),
    [
        (OLD, "application/json", 415),
        (OLD, "text/plain", 415),
        (b" " * (reports.MAX_BYTES + 1), "application/csp-report", 413),
        (b"{", "application/csp-report", 400),
        (b"\xff", "application/csp-report", 400),
        (b"[" * 10_000, "application/csp-report", 400),
    ],
)
def test_what_no_browser_sends_is_refused(
    told: Any, content_type: str, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    assert send(told, content_type) == status
    assert logged(caplog) == []


@pytest.mark.parametrize("told", [1, None, "x", [], {}, [1, None], {"csp-report": 1}, [{"body": []}], {"body": None}])
def test_what_says_nothing_is_passed_over(told: Any, caplog: pytest.LogCaptureFixture) -> None:
    assert send(told) == 204
    assert logged(caplog) == []


def test_long_values_are_cut_and_others_left_out(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)

    send({"csp-report": {"document-uri": "a" * 10_000, "blocked-uri": {"deep": []}, "unknown": "x"}})

    assert logged(caplog) == [{"page": "a" * reports.MAX_TEXT}]


def test_it_takes_reports_only() -> None:
    assert Client().get("/csp-reports").status_code == 405

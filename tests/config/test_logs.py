"""Log lines as JSON."""

import base64
import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.conf import settings

from config import redaction
from config.logs import JsonFormatter


def line(message: str, *arguments: object, **record: Any) -> dict[str, Any]:
    made = logging.LogRecord("runs", logging.WARNING, "", 0, message, arguments, record.pop("exc_info", None))
    vars(made).update(record)
    text = JsonFormatter().format(made)
    assert "\n" not in text
    parsed: dict[str, Any] = json.loads(text)
    return parsed


def test_a_line_says_when_who_how_bad_and_what() -> None:
    parsed = line("lease of %s lost", "run 1")

    assert (parsed["level"], parsed["logger"], parsed["message"]) == ("warning", "runs", "lease of run 1 lost")
    assert parsed["at"].endswith("+00:00")


def test_extra_values_are_kept() -> None:
    assert line("lost", run=UUID(int=1), epoch=3)["run"] == str(UUID(int=1))


def test_a_traceback_stays_on_the_line() -> None:
    try:
        raise ValueError("broken")
    except ValueError:
        parsed = line("failed", exc_info=sys.exc_info())

    assert "ValueError: broken" in parsed["exception"]


def test_a_line_holds_no_secret_wherever_it_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redaction, "_recent", {})
    redaction.remember('correct "horse" battery')
    try:
        raise ValueError('correct "horse" battery')
    except ValueError:
        parsed = line(
            'as %s or {"in": "%s"}',
            'correct "horse" battery',
            base64.b64encode(b'correct "horse" battery').decode(),
            headers={"Authorization": ['correct "horse" battery']},
            exc_info=sys.exc_info(),
        )

    assert parsed["message"] == 'as [redacted] or {"in": "[redacted]"}'
    assert parsed["headers"] == {"Authorization": ["[redacted]"]}
    assert "ValueError: [redacted]" in parsed["exception"]


def test_a_tenant_cannot_blind_the_logs_with_a_secret_that_is_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redaction, "_recent", {})
    for secret in ("warning", "level", "runs", "lost", '": "', "+00:00", "2026-11-22T"):
        redaction.remember(secret)

    parsed = line("lease lost")

    assert (parsed["level"], parsed["logger"], parsed["message"]) == ("warning", "runs", "lease lost")
    assert parsed["at"].endswith("+00:00")


def test_a_line_names_no_person_and_no_credential_wherever_it_stands() -> None:
    try:
        raise ValueError("no card 4111 1111 1111 1111 of ada@acme.example")
    except ValueError:
        parsed = line(
            "mail from %s with ghp_a1B2a1B2a1B2a1B2a1B2a1B2a1B2a1B2a1B2",
            "ada@acme.example",
            reached={"at": ["+49 30 901820", 7], "bob@acme.example": "DE89 3704 0044 0532 0130 00"},
            exc_info=sys.exc_info(),
        )

    assert parsed["message"] == "mail from [email] with [secrets]"
    assert parsed["reached"] == {"at": ["[phone]", 7], "[email]": "[iban]"}
    assert "ValueError: no card [credit_card] of [email]" in parsed["exception"]


def test_a_line_tells_no_credential_that_its_members_name_gives_away() -> None:
    parsed = line("made", password="Tr0ub4dor3xyz", asked={"api_key": "a8f5f167f44f4964e6c998dee827110c", "n": 1})

    assert (parsed["message"], parsed["password"]) == ("made", "[secrets]")
    assert parsed["asked"] == {"api_key": "[secrets]", "n": 1}


def test_ordinary_lines_stay_as_they_are() -> None:
    said = (
        "run 3f2504e0-4f89-41d3-9a0c-0305e82c3301 took 1700000000000 ns at 2026-11-22T10:00:00+00:00 from 203.0.113.9"
    )
    assert line(said)["message"] == said


def test_what_is_masked_can_be_chosen() -> None:
    made = logging.LogRecord("runs", logging.INFO, "", 0, "ada@acme.example of 203.0.113.9", (), None)
    assert (
        json.loads(JsonFormatter(masks=("ip_address",)).format(made))["message"] == "ada@acme.example of [ip_address]"
    )
    assert json.loads(JsonFormatter(masks=()).format(made))["message"] == "ada@acme.example of 203.0.113.9"


CRASH = """
import os, sys, threading
sys.path.insert(1, "platform")
import django
django.setup()
from django.conf import settings
def crash():
    key = os.environ["ANTHROPIC_API_KEY"]
    raise RuntimeError(f"no answer to {key} {settings.SECRET_KEY} hunter2-hunter2 ada@acme.example")
thread = threading.Thread(target=crash)
thread.start()
thread.join()
crash()
"""


def test_a_crash_tells_no_secret_of_the_installation(tmp_path: Path) -> None:
    own = {
        "ANTHROPIC_API_KEY": "sk-ant-correct-horse",
        "SECRET_KEY": "battery-staple-battery-staple-battery-staple",
        "DATABASE_URL": "postgresql://countersign_app:hunter2-hunter2@localhost/countersign",
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "DATA_DIR": str(tmp_path),
    }

    done = subprocess.run(
        [sys.executable, "-c", CRASH],
        cwd=settings.BASE_DIR,
        env={**os.environ, **own},
        capture_output=True,
        text=True,
        timeout=120,
    )

    assert done.returncode == 1
    assert done.stderr.count("RuntimeError: no answer to [redacted] [redacted] [redacted] [email]") == 2
    assert not any(secret in done.stderr for secret in ("sk-ant", "battery", "hunter2"))


@pytest.mark.parametrize("name", ["anthropic._base_client", "httpcore2.http11", "httpx2", "urllib3.connectionpool"])
def test_what_libraries_would_tell_of_requests_is_not_logged_whatever_the_level(name: str) -> None:
    assert not logging.getLogger(name).isEnabledFor(logging.INFO)

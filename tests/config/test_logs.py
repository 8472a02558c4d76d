"""Log lines as JSON."""

import json
import logging
import sys
from typing import Any
from uuid import UUID

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

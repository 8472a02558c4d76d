"""Log lines: one JSON object each, so that a collector needs no pattern; no secret that the process knows, and nothing
that looks like a credential or names a person (`detectors`).
"""

import json
import logging
import logging.config
import sys
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

from config.redaction import hide, hide_in_json
from detectors.finding import Finders
from detectors.masking import masker

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "request", "color_message"}


#: What is masked in log lines unless settings say otherwise (`detectors.finding`).
MASKS = ("secrets", "email", "phone", "iban", "credit_card", "national_id")

_mask: Callable[[Any], Any] = masker(Finders(MASKS))


class JsonFormatter(logging.Formatter):
    """Time, level, logger and message, whatever a call passed as `extra`, and the traceback of an exception.

    Secrets are taken out by their value, wherever in the line they stand; then whatever has the form of one, or of what
    names or reaches a person. masks: which forms, by finder.
    """

    def __init__(self, masks: Sequence[str] = MASKS) -> None:
        super().__init__()
        self._masked = masker(Finders(tuple(masks)))

    def format(self, record: logging.LogRecord) -> str:
        """One line without line breaks; a value JSON doesn't know is shown as text."""
        # Time, level and logger stay legible, whatever a tenant's secret looks like.
        first = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
        }
        rest: dict[str, Any] = {"message": record.getMessage()}
        rest |= {key: value for key, value in vars(record).items() if key not in _STANDARD | first.keys()}
        if record.exc_info:
            rest["exception"] = self.formatException(record.exc_info)
        hidden = hide_in_json(json.dumps(rest, default=str, ensure_ascii=False))
        told = self._masked(json.loads(hidden))
        return f"{json.dumps(first)[:-1]}, {json.dumps(told, ensure_ascii=False)[1:]}"


class AnybodysDoing(logging.Filter):
    """Of what anybody out there can bring about as often as they like: a warning, without the traceback."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let the record through, made small."""
        record.exc_info = None
        record.levelno, record.levelname = logging.WARNING, "WARNING"
        return True


def configure(settings: Mapping[str, Any]) -> None:
    """Set logging up (Django's LOGGING_CONFIG), and have what ends a process or thread told without secrets too."""
    global _mask
    logging.config.dictConfig(dict(settings))
    _mask = masker(Finders(tuple(settings["formatters"]["json"]["masks"])))
    sys.excepthook = _tell
    threading.excepthook = lambda ended: _tell(ended.exc_type, ended.exc_value, ended.exc_traceback)


def _tell(kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
    if not issubclass(kind, SystemExit):
        sys.stderr.write(_mask(hide("".join(traceback.format_exception(kind, error, trace)))))

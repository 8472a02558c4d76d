"""Log lines: one JSON object a line, so that a collector needs no pattern."""

import json
import logging
from datetime import UTC, datetime
from typing import Any

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "request", "color_message"}


class JsonFormatter(logging.Formatter):
    """Time, level, logger and message, whatever a call passed as `extra`, and the traceback of an exception."""

    def format(self, record: logging.LogRecord) -> str:
        """One line without line breaks; a value JSON doesn't know is shown as text."""
        line: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {key: value for key, value in vars(record).items() if key not in _STANDARD}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)

"""A wrong clock: the time of day as this process sees it, whoever asks for it."""

import datetime
import sys
import time
from typing import Any
from unittest import mock


def shift(seconds: float) -> None:
    """Put this process's time of day that far ahead (behind, if negative), for its life. Monotonic clocks stay."""
    real, real_ns, real_datetime, ahead = (
        time.time,
        time.time_ns,
        datetime.datetime,
        datetime.timedelta(seconds=seconds),
    )

    class Kind(type):
        def __instancecheck__(cls, instance: object) -> bool:
            return isinstance(instance, real_datetime)

    class Shifted(real_datetime, metaclass=Kind):  # type: ignore[misc,valid-type]
        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> Any:
            return real_datetime.now(tz) + ahead

    replaced = {
        id(real): lambda: real() + seconds,
        id(real_ns): lambda: real_ns() + int(seconds * 1e9),
        id(real_datetime): Shifted,
    }
    for module in list(sys.modules.values()):
        if module in (sys.modules[__name__], datetime) or not _is_ours(module):
            continue
        for name, value in list(vars(module).items()):
            if id(value) in replaced:
                mock.patch.object(module, name, replaced[id(value)]).start()


def _is_ours(module: Any) -> bool:
    """Whether a module asks for the time on behalf of the platform: our own, Django's, the SDK's, and `time` itself."""
    top = module.__name__.partition(".")[0]
    path = getattr(module, "__file__", None) or ""
    return top in {"time", "django", "anthropic", "limits"} or (
        "site-packages" not in path and "/lib/python" not in path
    )

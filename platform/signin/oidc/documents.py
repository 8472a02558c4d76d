"""A provider's discovery document and keys, kept for some minutes by this process, so that whoever begins a sign-in, or
many, makes no call to the provider each time.
"""

import json
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final

Json = Any

#: Seconds a document is kept, how many there are at most, and characters of one that is worth keeping.
KEPT_S: Final = 300.0
MOST: Final = 256
MAX_CHARS: Final = 64 * 1024

_lock = threading.Lock()
_kept: OrderedDict[tuple[str, str], tuple[float, Json]] = OrderedDict()


def kept(provider: str, url: str) -> Json | None:
    """Return the document if it is kept. provider: its id and version, so that one that changed is asked anew."""
    with _lock:
        until, document = _kept.get((provider, url), (0.0, None))
    return document if time.monotonic() < until else None


def ask(provider: str, url: str, question: Callable[[], Json]) -> Json:
    """Return the answer, kept from now on; what `question` raises is not."""
    document = question()
    if len(json.dumps(document)) <= MAX_CHARS:
        with _lock:
            _kept[provider, url] = (time.monotonic() + KEPT_S, document)
            _kept.move_to_end((provider, url))
            if len(_kept) > MOST:
                _kept.popitem(last=False)
    return document


def forget() -> None:
    """Forget all of them."""
    with _lock:
        _kept.clear()

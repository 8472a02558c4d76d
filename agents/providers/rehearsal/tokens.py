"""Token counts and the prompt cache of the rehearsal: believable, not exact."""

import hashlib
import json
from collections import OrderedDict
from collections.abc import Callable, Sequence

from agents.core.model import Json, JsonObject

CACHE_SECONDS = {"5m": 300.0, "1h": 3600.0}
# A shorter prefix is not cached.
CACHE_FROM_TOKENS = 1024
MAX_ENTRIES = 50_000
# What stands after the last cache marker: the turn's own frame.
FRAME_TOKENS = 3


def count(value: Json) -> int:
    """Return the tokens of a JSON value or a text: one per four characters."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return -(-len(text) // 4)


class PromptCache:
    """Remembers prefixes of requests. Owned by the event loop's thread.

    clock: monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._until: OrderedDict[bytes, float] = OrderedDict()

    def usage(self, account: str, body: JsonObject, messages: Sequence[JsonObject]) -> JsonObject:
        """Return the input part of the usage, and remember the prefixes if the request asks for caching.

        account: whose cache it is; messages: merged by role.
        """
        prefixes = _prefixes(account, body, messages)
        total = prefixes[-1][1] + FRAME_TOKENS
        ttl = _ttl(body)
        if ttl is None or prefixes[-1][1] < CACHE_FROM_TOKENS:
            return _usage(total, 0, 0, ttl)
        now = self._clock()
        read = max(
            (tokens for name, tokens in prefixes if self._until.get(name, 0) > now and tokens >= CACHE_FROM_TOKENS),
            default=0,
        )
        for name, tokens in prefixes:
            if tokens >= CACHE_FROM_TOKENS:
                self._until[name] = now + CACHE_SECONDS[ttl]
                self._until.move_to_end(name)
        while len(self._until) > MAX_ENTRIES:
            self._until.popitem(last=False)
        return _usage(FRAME_TOKENS, read, prefixes[-1][1] - read, ttl)


def _prefixes(account: str, body: JsonObject, messages: Sequence[JsonObject]) -> list[tuple[bytes, int]]:
    """Return name and tokens of each prefix: system and tools, then up to each message."""
    running = hashlib.sha256(f"{account}\0{body['model']}".encode())
    tokens = 0
    prefixes = []
    head = [body.get("tools"), body.get("system"), body.get("output_config")]
    for segment in ([part for part in head if part], *messages):
        text = json.dumps(segment, ensure_ascii=False, separators=(",", ":"))
        running.update(text.encode(errors="surrogatepass"))
        tokens += count(text)
        prefixes.append((running.digest(), tokens))
    return prefixes


def _ttl(body: JsonObject) -> str | None:
    """Return the lifetime the request's first marker asks for, or None without one."""
    markers = [body.get("cache_control")]
    blocks = [*(body.get("tools") or ())]
    if isinstance(body.get("system"), list):
        blocks += body["system"]
    for message in body["messages"]:
        if isinstance(message["content"], list):
            blocks += message["content"]
    markers += [block.get("cache_control") for block in blocks]
    marker = next((each for each in markers if each), None)
    return None if marker is None else str(marker.get("ttl", "5m"))


def _usage(plain: int, read: int, created: int, ttl: str | None) -> JsonObject:
    return {
        "input_tokens": plain,
        "cache_read_input_tokens": read,
        "cache_creation_input_tokens": created,
        "cache_creation": {
            "ephemeral_5m_input_tokens": 0 if ttl == "1h" else created,
            "ephemeral_1h_input_tokens": created if ttl == "1h" else 0,
        },
        "service_tier": "standard",
    }

"""The ledger of effects: what was really done, once for each idempotency key."""

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Json = Any


@dataclass(slots=True)
class Entry:
    """One effect. request: what was asked, as text; answer: what was answered; seen: how often it was asked for."""

    key: str
    tenant: str
    effect: str
    request: str
    answer: Json
    seen: int = 1


class KeyReused(Exception):
    """The idempotency key was used for another request before."""


class Ledger:
    """Effects in the order in which they happened. Safe to use from several threads; kept in memory only."""

    def __init__(self) -> None:
        self._entries: dict[tuple[str, str], Entry] = {}
        self._lock = threading.Lock()

    def once(
        self, tenant: str, key: str, effect: str, request: Json, perform: Callable[[tuple[Entry, ...]], Json]
    ) -> tuple[Json, bool]:
        """Perform the effect unless this key did before; return the answer and whether it was performed now.

        perform: gets the entries so far and returns the answer; what it raises is raised, and nothing is entered.
        Raises KeyReused. Semantics: draft-ietf-httpapi-idempotency-key-header.
        """
        text = json.dumps([effect, request], sort_keys=True)
        with self._lock:
            known = self._entries.get((tenant, key))
            if known is not None:
                if known.request != text:
                    raise KeyReused
                known.seen += 1
                return known.answer, False
            answer = perform(tuple(self._entries.values()))
            self._entries[tenant, key] = Entry(key, tenant, effect, text, answer)
            return answer, True

    def as_json(self) -> list[dict[str, Json]]:
        """Return every entry: `{key, tenant, effect, request, answer, seen}`."""
        with self._lock:
            return [
                {
                    "key": entry.key,
                    "tenant": entry.tenant,
                    "effect": entry.effect,
                    "request": json.loads(entry.request)[1],
                    "answer": entry.answer,
                    "seen": entry.seen,
                }
                for entry in self._entries.values()
            ]

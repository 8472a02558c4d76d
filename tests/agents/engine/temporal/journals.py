"""A run's journal without what differs between two runs of one script: ids, times, the order of parallel results."""

import json
import re
from itertools import groupby
from typing import Any
from uuid import UUID

from audit.journal import Stored
from tests.worlds import World

Json = Any

_UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_NAMES = re.compile(rf"{_UUID}|\b[0-9a-f]{{32}}\b|(?:req|msg|toolu)_\w+")
_TIMES = {"at", "until"}
_RESULTS = {"tool.finished", "tool.failed", "tool.unknown"}


def comparable(world: World, run_id: UUID) -> list[Json]:
    """Return the run's events in order; results that came side by side, by their calls."""
    names: dict[str, str] = {}

    def plain(found: "re.Match[str]") -> str:
        return names.setdefault(found[0], f"name {len(names)}")

    return [json.loads(_NAMES.sub(plain, json.dumps(_event(each)))) for each in _ordered(world.events(run_id))]


def _ordered(events: list[Stored]) -> list[Stored]:
    ordered: list[Stored] = []
    for are_results, group in groupby(events, lambda event: event.action in _RESULTS):
        together = list(group)
        ordered += sorted(together, key=lambda event: int(event.facts["call"])) if are_results else together
    return ordered


def _event(event: Stored) -> Json:
    kept = {name: value for name, value in {**event.facts, **(event.payload or {})}.items() if name not in _TIMES}
    return [event.action, event.actor, event.outcome, kept]

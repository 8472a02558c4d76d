"""Counters of the processes that do the work, which nobody asks over HTTP: any web process tells them for all.

Counting is an addition in memory. Every few seconds a process adds what it has counted since to the totals in the
database (`flush`), in a table that is not logged: after a crash of the database server they begin anew, which is what
a counter may do. A process that is killed takes what it counted since its last flush with it.
"""

import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from db import pool
from db.pool import transaction_connection

#: Series of one process that are kept apart; beyond it nothing new is counted. Labels are of few values by design.
MOST: Final = 1000

_SEPARATOR: Final = "\t"

# In order, so that two processes that flush at once wait for each other and never both.
_ADD: Final = """
INSERT INTO metrics_total AS present (series, value)
SELECT series, value FROM unnest(%s::text[], %s::bigint[]) AS counted(series, value) ORDER BY series
ON CONFLICT (series) DO UPDATE SET value = present.value + excluded.value
"""


@dataclass(frozen=True, slots=True)
class Kind:
    """A counter. labels: their names, each of few values; none names a tenant, a person, a run or a tool."""

    help: str
    labels: tuple[str, ...] = ()


KINDS: Final[Mapping[str, Kind]] = {
    "claims": Kind("Runs that workers took up."),
    "steps": Kind("Steps of runs that were committed."),
    "runs_ended": Kind("Runs that ended.", ("status",)),
    "runs_waited": Kind("Times a run was parked.", ("waiting_for", "reason")),
    "model_calls": Kind("Calls of models, by what came of them: answered, or why not.", ("model", "outcome")),
    "tokens": Kind("Tokens of model calls.", ("model", "kind")),
    "model_cost_nano_usd": Kind("What model calls cost, in billionths of a US dollar.", ("model",)),
    "tool_calls": Kind("Calls of tools, by what came of them.", ("outcome",)),
    "tool_results_from_cache": Kind("Calls of tools that were answered with the kept result of an equal one."),
    "breaker_changes": Kind("Times a circuit breaker of a tool opened or closed.", ("to",)),
    "questions": Kind("Questions put to people.", ("kind",)),
    "letters": Kind("Attempts to send notices by e-mail: sent, pending (tried again) or failed.", ("outcome",)),
    "soft_limits_reached": Kind("Windows of budgets whose soft limit was spent.", ("of", "window")),
    "leases_lost": Kind("Leases that ran out under a worker."),
    "pool_waits": Kind("Times a worker waited for a connection to the database."),
    "pool_wait_ms": Kind("Milliseconds that workers waited for connections to the database."),
    "pool_failures": Kind("Times a worker got no connection to the database in time."),
}

#: The name of a counter of `KINDS`, and its labels' values in their order.
Series = tuple[str, ...]

_counted: Counter[Series] = Counter()
_lock = threading.Lock()
_handing_in = threading.Lock()


def count(name: str, *labels: str, by: int = 1) -> None:
    """Count something of `KINDS`, with its labels' values in their order."""
    count_all({(name, *labels): by})


def count_all(counted: Mapping[Series, int]) -> None:
    """Count several things at once: to each name and its labels' values, how many."""
    with _lock:
        for series, by in counted.items():
            if series in _counted or len(_counted) < MOST:
                _counted[series] += by


def flush() -> None:
    """Add what this process has counted to the totals. Raises what the database raises; then nothing is forgotten.

    One at a time, and when it returns, so has every one that was under way: what they took is handed in, or counted
    again and taken by this one. So the last one of a process that ends speaks for all of them.
    """
    with _handing_in:
        _flush()


def _flush() -> None:
    for name, value in pool.waits().items():
        if value:
            count(name, by=value)
    with _lock:
        adding = dict(_counted)
        _counted.clear()
    if not adding:
        return
    try:
        with transaction_connection() as connection:
            connection.execute(_ADD, [[_SEPARATOR.join(series) for series in adding], list(adding.values())])
    except BaseException:
        with _lock:
            _counted.update(adding)
        raise


def totals() -> Iterator[tuple[str, tuple[str, ...], int]]:
    """Yield name, labels' values and total of each series; of those that an older release counted, none."""
    with transaction_connection() as connection:
        rows = connection.execute("SELECT series, value FROM metrics_total ORDER BY series").fetchall()
    for series, value in rows:
        name, *labels = series.split(_SEPARATOR)
        if name in KINDS and len(labels) == len(KINDS[name].labels):
            yield name, tuple(labels), value

"""Where the time of a step goes on our engine: CPU by part (own timers, exclusive), and the server's by statement.

Each timed function charges the thread CPU time up to its call to the part that called it. What no timed function covers
is the rest: threads changing hands, the executor's own lines, the clients' waiting. Needs pg_stat_statements.
"""

import argparse
import functools
import json
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import installation
import psycopg
from common import STEPS_PER_RUN, Result, drive_threads
from measuring import fake_model
from peers.countersign import Engine, model_function

RUNS = 150
CONCURRENCY = 8

STATEMENTS = """
SELECT calls, total_exec_time, total_plan_time, plans, wal_bytes, regexp_replace(query, '\\s+', ' ', 'g')
FROM stats.pg_stat_statements WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
KNOWN = (  # the beginning of a statement, or what only it holds; what it is
    ("quotas_window w SET reserved_usd_nano = w.reserved_usd_nano +", "step that moves the budget"),
    ("quotas_window w SET reserved_usd_nano = w.reserved_usd_nano -", "settle budget"),
    ("agents_run r SET epoch = r.epoch + 1", "claim"),
    ("FROM given g WHERE", "step"),
    ("_toolusergrant", "check grants"),
    ("_agentusergrant", "check grants"),
    ("FROM audit_record r LEFT JOIN audit_payload", "load history"),
    ("set_config", "scope"),
)


class Parts:
    """CPU seconds by part."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()
        self.calls: Counter[str] = Counter()
        self._local = threading.local()

    def timed(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap a function so that its own CPU time goes to `part`."""
        local, seconds, clock = self._local, self.seconds, time.thread_time

        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            outer, since = getattr(local, "now", (None, 0.0))
            begun = clock()
            if outer is not None:
                seconds[outer] += begun - since
            self.calls[part] += 1
            local.now = part, begun
            try:
                return function(*args, **kwargs)
            finally:
                ended = clock()
                seconds[part] += ended - local.now[1]
                local.now = outer, ended

        return wrapper

    def wrap(self, part: str, holder: Any, *names: str) -> None:
        """Time these functions or methods of a module or class."""
        for name in names:
            setattr(holder, name, self.timed(part, getattr(holder, name)))


def wrapped() -> Parts:
    """Time the parts of the engine."""
    from psycopg_pool import ConnectionPool

    from agents.actions import runs
    from agents.core import calls, fold
    from agents.engine import executor, projection, store
    from agents.engine.draft import Draft
    from agents.engine.executor import RunExecutor
    from agents.tools import perform
    from audit import canonical, journal
    from db import trip

    parts = Parts()
    for module in (executor, fold):
        parts.wrap("core: fold and decide", module, "fold_all" if module is executor else "fold")
    parts.wrap("core: fold and decide", Draft, "add", "think")
    parts.wrap("core: fold and decide", calls, "plan", "outcome_event")
    parts.wrap("core: fold and decide", projection, "project")
    parts.wrap("JSON, canonical form, hashes", store, "facts_and_payload", "event_of")
    parts.wrap("JSON, canonical form, hashes", journal, "entries_parameter", "stored")
    parts.wrap("JSON, canonical form, hashes", canonical, "canonical", "commitment")
    parts.wrap("model: provider, SDK, HTTP", RunExecutor, "_call_model")
    parts.wrap("tool: bounds, thread, checks", executor.RunExecutor, "_perform_one")
    parts.wrap("tool: bounds, thread, checks", perform, "_attempt")
    parts.wrap("submit: ORM and action", runs, "submit")
    parts.wrap("psycopg: statements", trip, "make")
    parts.wrap("psycopg: statements", psycopg.Connection, "execute", "wait")
    parts.wrap("psycopg: statements", psycopg.Cursor, "execute")
    parts.wrap("psycopg: pool", ConnectionPool, "getconn", "putconn")
    parts.wrap("engine: executor, store, driver", RunExecutor, "carry_on", "begin")
    return parts


def statements(dsn: str, runs: int) -> list[dict[str, Any]]:
    """The server's time and WAL by kind of statement, for one run."""
    found: dict[str, Counter[str]] = {}
    with psycopg.connect(dsn) as connection:
        for calls, run_ms, plan_ms, plans, wal, query in connection.execute(STATEMENTS).fetchall():
            kind = next((what for mark, what in KNOWN if mark in query), "all others")
            values = {"calls": calls, "exec_ms": run_ms, "plan_ms": plan_ms, "plans": plans, "wal_bytes": float(wal)}
            found.setdefault(kind, Counter()).update(values)
    by_cost = sorted(found.items(), key=lambda item: -(item[1]["exec_ms"] + item[1]["plan_ms"]))
    return [{"statement": kind, **{key: value / runs for key, value in total.items()}} for kind, total in by_cost]


def main() -> None:
    """Measure and print JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--dsn", required=True)
    options = parser.parse_args()
    options.client = "sdk"
    with tempfile.TemporaryDirectory() as data_dir, fake_model() as options.model_url:
        installation.boot(options.dsn, data_dir)
        with psycopg.connect(options.dsn, autocommit=True) as owner:
            owner.execute("CREATE SCHEMA IF NOT EXISTS stats")
            owner.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements SCHEMA stats")
            parts = wrapped()
            engine = Engine(model_function(options), "where")
            drive_threads(engine.run, 2 * CONCURRENCY, CONCURRENCY)
            owner.execute("SELECT stats.pg_stat_statements_reset()")
            parts.seconds.clear()
            with Result() as result:
                drive_threads(engine.run, RUNS, CONCURRENCY)
            steps, spent = RUNS * STEPS_PER_RUN, dict(parts.seconds)
            by_statement = statements(options.dsn, RUNS)
            engine.close()
    spent["rest: threads changing hands, clients"] = result["cpu"] - sum(spent.values())
    cpu = {part: 1000 * seconds / steps for part, seconds in sorted(spent.items(), key=lambda item: -item[1])}
    print(json.dumps({"cpu_ms_per_step": cpu, "statements_per_run": by_statement}))


if __name__ == "__main__":
    main()

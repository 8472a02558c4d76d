"""A long journal: what a page of 50 costs, by each kind of search.

The records are loaded by COPY, one after the other in time, with payloads and leaves; the pages that words
are found by are made by the product. `--explain FILE` writes what PostgreSQL does for each kind.
"""

import argparse
import json
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import installation
import psycopg
from common import cpu_seconds, percentile

RECORDS = 10_000_000
PAGES = 40
LIMIT = 51
STEPS = 14
ACTIONS = ("model.requested", "model.answered", "tool.requested", "tool.finished", "budget.settled", "output.accepted")
RARE = 100_000
PEOPLE = 200
WORDS = [
    f"{a}{b}{c}" for a in ("ba", "co", "di", "fu", "ge", "hi") for b in ("lan", "mor", "nes", "pit") for c in range(200)
]
NAMES = [f"{a}{b}" for a in ("Ada", "Bea", "Cem", "Dag", "Eva", "Fay") for b in range(3000)]


def main() -> None:
    """Measure and print JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--dsn", required=True)
    parser.add_argument("--records", type=int, default=RECORDS)
    parser.add_argument("--explain", type=Path, help="write the plans here")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as data_dir:
        installation.boot(options.dsn, data_dir)
        from tenants.actions import tenants
        from tenants.principal import COMMAND

        tenant_id = tenants.create(slug="searched", acting_as=COMMAND).id
        loaded = Loaded(tenant_id, options.records)
        loaded.copy(options.dsn)
        found = {"records": options.records, **index(options.records), **loaded.sizes(options.dsn)}
        if options.explain:
            options.explain.write_text(plans(tenant_id, loaded))
        found |= measured(tenant_id, loaded)
    print(json.dumps(found))


class Loaded:
    """A tenant's journal, of the same content each time: runs of 14 steps, and a tenth of what people did beside."""

    def __init__(self, tenant_id: UUID, records: int) -> None:
        self.tenant_id, self.count = tenant_id, records
        now = datetime.now(UTC)
        self.begun = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        self._step_us = max(1, int((now - self.begun) / timedelta(microseconds=1) * 0.99) // records)

    def at(self, n: int) -> datetime:
        """When the record of that number happened."""
        return self.begun + timedelta(microseconds=n * self._step_us)

    def record_id(self, n: int) -> UUID:
        """Its id: a UUIDv7 of that time."""
        us = int(self.at(n).timestamp() * 1_000_000)
        return UUID(int=((us // 1000) << 80) | (7 << 76) | ((us % 1000 * 4096 // 1000) << 64) | (2 << 62) | n)

    def run(self, n: int) -> UUID:
        """The stream of the record of that number."""
        return UUID(int=(self.record_id(n - n % STEPS).int >> 64 << 64) | (2 << 62) | (1 << 61) | (n // STEPS))

    def record(self, n: int) -> tuple[Any, ...]:
        """As `COPY audit_record` takes it."""
        seq, person = n % STEPS, f"user:{UUID(int=n // STEPS % PEOPLE)}"
        by_person = seq == 0
        if by_person and n // STEPS % 10 == 9:  # not of a run
            action, number, subject = "grant.added", None, f"user:{UUID(int=n % PEOPLE)}"
        else:
            action = "tool.unknown" if n % RARE == 7 else "run.submitted" if by_person else ACTIONS[seq % len(ACTIONS)]
            number, subject = seq + 1, None
        facts = f'{{"turn":{seq},"call":1,"tool":"lookup","digest":"{n:064x}"}}'
        actor = person if by_person else "engine"
        at = self.at(n).isoformat()
        return (
            self.record_id(n),
            at,
            self.tenant_id,
            self.run(n),
            number,
            1,
            action,
            actor,
            subject,
            "ok",
            facts,
            b"\0" * 32,
        )

    def payload(self, n: int) -> str:
        """Its payload's JSON."""
        chance = random.Random(n)  # noqa: S311 - the same words each time
        words = " ".join(chance.choices(WORDS, k=12))
        return json.dumps(
            {"applicant": NAMES[n // STEPS % len(NAMES)], "case": f"case{n // STEPS}", "text": words, "sum": n % 977}
        )

    def copy(self, dsn: str) -> None:
        """Load it."""
        tenant = self.tenant_id
        with psycopg.connect(dsn) as raw:
            raw.execute("SET LOCAL session_replication_role = replica")
            raw.execute("SET LOCAL synchronous_commit = off")
            raw.execute("INSERT INTO audit_log (tenant_id, generation, origin) VALUES (%s, 1, 'bench/log/1')", [tenant])
            rows = ((number, self.record(number)) for number in range(self.count))
            _copy(
                raw,
                "audit_record (id, at, tenant_id, stream, seq, v, action, actor, subject, outcome, facts, commitment)",
                (row for _, row in rows),
            )
            _copy(
                raw,
                "audit_payload (record_id, tenant_id, salt, value)",
                ((self.record_id(n), tenant, b"\0" * 16, self.payload(n)) for n in range(self.count)),
            )
            _copy(
                raw,
                "audit_leaf (tenant_id, generation, index, record_id, hash)",
                ((tenant, 1, n, self.record_id(n), b"\0" * 32) for n in range(self.count)),
            )
        with psycopg.connect(dsn, autocommit=True) as raw:
            raw.execute("VACUUM ANALYZE audit_record")
            raw.execute("VACUUM ANALYZE audit_payload")
            raw.execute("VACUUM ANALYZE audit_leaf")

    def sizes(self, dsn: str) -> dict[str, float]:
        """Bytes a record: of the journal, and of the pages."""
        with psycopg.connect(dsn) as raw:
            raw.execute("ANALYZE")
            journal, pages = raw.execute(
                "SELECT sum(pg_total_relation_size(oid)) FILTER (WHERE relname ~ '^audit_(record|payload|leaf)'), "
                "sum(pg_total_relation_size(oid)) FILTER (WHERE relname ~ '^audit_search') "
                "FROM pg_class WHERE relkind IN ('r', 'm')"
            ).fetchone() or (0, 0)
        return {"journal_bytes": float(journal) / self.count, "page_bytes": float(pages) / self.count}


def _copy(raw: "psycopg.Connection[Any]", into: str, rows: Iterator[tuple[Any, ...]]) -> None:
    with raw.cursor().copy(f"COPY {into} FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)


def index(records: int) -> dict[str, float]:
    """Make the pages that words are found by."""
    from audit import indexing

    begun, cpu = time.perf_counter(), cpu_seconds()
    while indexing.make_due():
        pass
    return {
        "indexed_per_s": records / (time.perf_counter() - begun),
        "index_cpu_s_100k": 1e5 * (cpu_seconds() - cpu) / records,
    }


def searches(loaded: Loaded) -> dict[str, Callable[[random.Random], dict[str, Any]]]:
    """Each kind of search, with something else to look for each time."""

    def somewhere(chance: random.Random) -> int:
        return chance.randrange(loaded.count)

    def window(chance: random.Random, **more: Any) -> dict[str, Any]:
        at = loaded.at(somewhere(chance))
        return {"since": at - timedelta(days=1), "until": at, **more}

    return {
        "newest": lambda c: {},
        "time": window,
        "actor": lambda c: {"actor": f"user:{UUID(int=c.randrange(PEOPLE))}"},
        "actor_action": lambda c: {"actor": f"user:{UUID(int=c.randrange(PEOPLE))}", "action": "grant.added"},
        "subject": lambda c: {"subject": f"user:{UUID(int=c.randrange(PEOPLE))}"},
        "run": lambda c: {"run": loaded.run(somewhere(c))},
        "action": lambda c: {"action": c.choice(ACTIONS)},
        "rare_action": lambda c: {"action": "tool.unknown"},
        "common_word": lambda c: {"text": (c.choice(WORDS),)},
        "rare_word": lambda c: {"text": (f"case{somewhere(c) // STEPS}",)},
        "absent_word": lambda c: {"text": (f"absent{c.random()}"[2:],)},
        "two_words": lambda c: {"text": (c.choice(NAMES).lower(), c.choice(WORDS))},
        "word_action_time": lambda c: window(c, text=(c.choice(WORDS),), action="tool.finished"),
        "word_actor": lambda c: {"text": (c.choice(WORDS),), "actor": f"user:{UUID(int=c.randrange(PEOPLE))}"},
    }


def measured(tenant_id: UUID, loaded: Loaded) -> dict[str, float]:
    """Milliseconds of the first pages, and of pages further back, of each kind."""
    found: dict[str, float] = {}
    every: list[float] = []
    cpu = cpu_seconds()
    for name, make in searches(loaded).items():
        took = [_page(tenant_id, loaded, make, number, back=number % 2 == 1) for number in range(PAGES)]
        found |= {f"{name}_p50_ms": 1000 * percentile(took, 0.5), f"{name}_p95_ms": 1000 * percentile(took, 0.95)}
        every += took
    return {
        **found,
        "worst_p95_ms": max(value for name, value in found.items() if name.endswith("_p95_ms")),
        "page_cpu_ms": 1000 * (cpu_seconds() - cpu) / len(every),
        "all_p95_ms": 1000 * percentile(every, 0.95),
    }


def _page(
    tenant_id: UUID, loaded: Loaded, make: Callable[[random.Random], dict[str, Any]], number: int, *, back: bool
) -> float:
    """Seconds for one page. back: beginning somewhere in the journal, as a cursor does."""
    from django.db import connection

    from audit import search
    from audit.search import Wanted
    from db.scope import tenant_scope

    chance = random.Random(number)  # noqa: S311 - the same searches each time
    wanted = Wanted(**make(chance))
    before = loaded.record_id(chance.randrange(loaded.count)) if back else None
    begun = time.perf_counter()
    with tenant_scope(tenant_id):
        search.page(wanted, before=before, limit=LIMIT)
    took = time.perf_counter() - begun
    connection.close()
    return took


def plans(tenant_id: UUID, loaded: Loaded) -> str:
    """What PostgreSQL does for each kind: EXPLAIN (ANALYZE, BUFFERS) of every query, once."""
    from django.db import connection

    from audit import search
    from audit.search import Wanted
    from db.scope import tenant_scope

    told: list[str] = []

    def explain(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.lstrip().startswith("SELECT") and "set_config" not in sql:
            with connection.connection.cursor() as cursor:
                cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS) {sql}", params)
                told.append("\n".join(row[0] for row in cursor.fetchall()))
        return execute(sql, params, many, context)

    for name, make in searches(loaded).items():
        told.append(f"\n=== {name}")
        with tenant_scope(tenant_id), connection.execute_wrapper(explain):
            search.page(Wanted(**make(random.Random(1))), before=None, limit=LIMIT)  # noqa: S311 - the same each time
    return "\n".join(told)


if __name__ == "__main__":
    main()

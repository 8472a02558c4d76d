"""Reference: the least a PostgreSQL step journal can do, by hand. One row a run, one row a step; one statement a step.

--mode fused   the run's row rides with its first step, its end with the last: 11 commits a run
--mode fenced  the same statement also checks that this worker still owns the run (a lease token on the run's row) and
               puts the step's audit record into an outbox; a sequencer thread turns the outbox into Merkle leaves, a
               batch every 50 ms
"""

# ruff: noqa: S608 - statements are made of constants only

import argparse
import hashlib
import json
import threading
import time
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import psycopg
from common import agent_loop, main, model_client, run_tool
from psycopg.types.json import Jsonb
from psycopg_pool import ConnectionPool

SCHEMA = """
create table if not exists run (id uuid primary key, state text not null, result jsonb, lease uuid);
create table if not exists step (run_id uuid not null, seq int not null, kind text not null,
    output jsonb not null, at timestamptz not null default now(), primary key (run_id, seq));
create table if not exists outbox (id bigserial primary key, entry bytea not null);
create table if not exists leaf (seq bigint primary key, hash bytea not null, entry bytea not null);
create table if not exists root (size bigint primary key, hash bytea not null);
"""

STEP = "insert into step (run_id, seq, kind, output) values (%(run)s, %(seq)s, %(kind)s, %(output)s)"
FUSED_FIRST = f"with r as (insert into run values (%(run)s, 'running')) {STEP}"
FUSED_LAST = f"with r as (update run set state = 'done', result = %(output)s where id = %(run)s) {STEP}"

FENCED_TAIL = """, entry as (insert into outbox (entry) select %(entry)s from own)
insert into step (run_id, seq, kind, output) select id, %(seq)s, %(kind)s, %(output)s from own"""
FENCED = "with own as (select id from run where id = %(run)s and lease = %(lease)s for no key update)" + FENCED_TAIL
FENCED_FIRST = (
    "with own as (insert into run (id, state, lease) values (%(run)s, 'running', %(lease)s) returning id)" + FENCED_TAIL
)
FENCED_LAST = (
    "with own as (update run set state = 'done', result = %(output)s where id = %(run)s and lease = %(lease)s"
    " returning id)" + FENCED_TAIL
)


class Fused:
    """Steps alone."""

    statements = (FUSED_FIRST, STEP, FUSED_LAST)

    def __init__(self, pool: ConnectionPool) -> None:
        self.pool = pool

    def step(self, run_id: UUID, seq: int, kind: str, output: Any, last: bool) -> None:
        """Commit one step."""
        statement = self.statements[0 if seq == 0 else 2 if last else 1]
        values = {"run": run_id, "seq": seq, "kind": kind, "output": Jsonb(output), **self.more(run_id, seq, output)}
        with self.pool.connection() as connection:
            if connection.execute(statement, values).rowcount != 1:
                raise RuntimeError("this worker no longer owns the run")

    def more(self, run_id: UUID, seq: int, output: Any) -> dict[str, Any]:
        """Further values of the statements."""
        return {}


class Fenced(Fused):
    """Fence, step and outbox in one statement, and the sequencer beside."""

    statements = (FENCED_FIRST, FENCED, FENCED_LAST)

    def __init__(self, pool: ConnectionPool, dsn: str) -> None:
        super().__init__(pool)
        self.lease = uuid4()
        threading.Thread(target=self.sequence, args=(dsn,), daemon=True).start()

    def more(self, run_id: UUID, seq: int, output: Any) -> dict[str, Any]:
        entry = {"run": str(run_id), "seq": seq, "output": output}
        return {"lease": self.lease, "entry": json.dumps(entry, sort_keys=True).encode()}

    def sequence(self, dsn: str) -> None:
        """Move what lies in the outbox into leaves, a batch every 50 ms."""
        tree = RightEdge()
        with psycopg.connect(dsn, autocommit=True) as connection:
            (base,) = connection.execute("select coalesce(max(size), 0) from root").fetchone() or (0,)
            while True:
                time.sleep(0.05)
                with connection.transaction():
                    self._move(connection, tree, base)

    def _move(self, connection: psycopg.Connection, tree: "RightEdge", base: int) -> None:
        taken = connection.execute(
            "delete from outbox where id in (select id from outbox order by id limit 1000) returning id, entry"
        ).fetchall()
        leaves = []
        for _, entry in sorted(taken):
            leaf = hashlib.sha256(b"\0" + entry).digest()
            tree.append(leaf)
            leaves.append((base + tree.size, leaf, entry))
        if leaves:
            connection.execute(
                "with r as (insert into root values (%b, %b)) insert into leaf"
                " select * from unnest(%b::bigint[], %b::bytea[], %b::bytea[])",
                (base + tree.size, tree.root(), *([leaf[column] for leaf in leaves] for column in range(3))),
            )


class RightEdge:
    """An RFC 6962 tree's root after every append, from the peaks alone."""

    def __init__(self) -> None:
        self.size = 0
        self.peaks: list[bytes] = []

    def append(self, leaf: bytes) -> None:
        """Add one leaf's hash."""
        number, self.size = self.size, self.size + 1
        while number & 1:
            leaf, number = _node(self.peaks.pop(), leaf), number >> 1
        self.peaks.append(leaf)

    def root(self) -> bytes:
        """The tree's root."""
        root = b""
        for peak in reversed(self.peaks):
            root = _node(peak, root) if root else peak
        return root or hashlib.sha256(b"").digest()


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\1" + left + right).digest()


def setup(options: argparse.Namespace) -> Callable[[int], str]:
    """Make the tables and return the run function."""
    with psycopg.connect(options.dsn, autocommit=True) as connection:
        connection.execute(SCHEMA)
    size = options.concurrency
    pool = ConnectionPool(options.dsn, min_size=size, max_size=size, kwargs={"autocommit": True}, open=True)
    journal = Fenced(pool, options.dsn) if options.mode == "fenced" else Fused(pool)
    call = model_client(options)

    def run(number: int) -> str:
        run_id, seq = uuid4(), 0

        def step(kind: str, output: Any, last: bool = False) -> Any:
            nonlocal seq
            journal.step(run_id, seq, kind, output, last)
            seq += 1
            return output

        def model(messages: Any) -> Any:
            answer = call(messages)
            return step("model", answer, last=answer["stop_reason"] != "tool_use")

        return agent_loop(model, lambda block: step("tool", run_tool(block)))

    return run


main(setup)

"""The common work on every engine, interleaved: a round runs each once, every other round the other way about.

Ratios are taken inside a round, so that a slow minute of the machine hits both sides of a ratio.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import steps_limit
import venvs
from common import STEPS_PER_RUN
from measuring import OURS, run
from postgres import PostgreSQL

HERE = Path(__file__).resolve().parent
HERE_PYTHON = ""  # the environment this process runs in


@dataclass(frozen=True)
class Peer:
    """One row of the table. environment: a list in `requirements/`, or ours. database: whether it uses PostgreSQL."""

    name: str
    script: str
    environment: str
    mode: str = ""
    client: str = "sdk"
    database: bool = True

    @property
    def database_name(self) -> str:
        """Its own."""
        return f"{self.script}_{self.mode or 'plain'}".replace("-", "_")


PEERS = (
    Peer("floor: SDK loop, nothing recorded", "floor", HERE_PYTHON, database=False),
    Peer("Countersign", "countersign", HERE_PYTHON),
    Peer("journal:fused (reference)", "journal", HERE_PYTHON, "fused"),
    Peer("journal:fenced (reference)", "journal", HERE_PYTHON, "fenced"),
    Peer("LangGraph + PostgresSaver, sync", "langgraph_saver", "langgraph", "per-thread"),
    Peer("DBOS", "dbos_workflow", "dbos"),
    Peer("Temporal (memory-only test server)", "temporal_server", "temporal", database=False),
    Peer("Countersign, engine only", "countersign", HERE_PYTHON, client="none"),
    Peer("Countersign, engine only, 2 worker processes", "countersign", HERE_PYTHON, "workers", "none"),
    Peer("journal:fenced, engine only", "journal", HERE_PYTHON, "fenced", "none"),
    Peer("LangGraph, engine only", "langgraph_saver", "langgraph", "per-thread", "none"),
    Peer("DBOS, engine only", "dbos_workflow", "dbos", client="none"),
)
FLOOR, COUNTERSIGN, WORKERS = PEERS[0].name, "Countersign", "Countersign, engine only, 2 worker processes"
LANGGRAPH, DBOS = PEERS[4].name, "DBOS"
LIMIT = "pgbench: one INSERT a commit"


@dataclass
class Measured:
    """What came of it: a list of results by peer's name, one a round; why a peer is missing."""

    rounds: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)

    def median(self, name: str, key: str) -> float | None:
        """The median over the rounds."""
        values = [each[key] for each in self.rounds.get(name, ()) if key in each]
        return median(values) if values else None

    def ratio(self, name: str, other: str, key: str = "runs_per_s") -> float | None:
        """The median of the ratios inside each round."""
        pairs = zip(self.rounds.get(name, ()), self.rounds.get(other, ()), strict=False)
        values = [mine[key] / theirs[key] for mine, theirs in pairs if theirs[key]]
        return median(values) if values else None

    def added_cpu_ms(self, name: str) -> float | None:
        """CPU of a step beyond the floor's (of the whole step where no model is called over HTTP)."""
        mine = self.median(name, "cpu_ms_per_run")
        base = 0.0 if "engine only" in name else self.median(FLOOR, "cpu_ms_per_run")
        return None if mine is None or base is None else (mine - base) / STEPS_PER_RUN


class Throughput:
    """The measurement, against one server and one fake model."""

    def __init__(self, server: PostgreSQL, model_url: str, options: argparse.Namespace) -> None:
        self.server, self.model_url, self.options = server, model_url, options
        self.measured = Measured()
        self._idle: dict[str, dict[str, float]] = {}

    def run(self) -> Measured:
        """Measure everything that was asked for."""
        peers = [peer for peer in PEERS if self._prepared(peer)]
        limit = steps_limit.prepare(self.server)
        if not limit:
            self.measured.missing[LIMIT] = "pgbench is not installed"
        for number in range(self.options.rounds):
            for peer in reversed(peers) if number % 2 else peers:
                self._measure(peer, number)
            if limit:
                steps = steps_limit.steps_per_second(self.server, clients=8, seconds=3)
                self.measured.rounds.setdefault(LIMIT, []).append({"runs_per_s": steps / STEPS_PER_RUN})
        return self.measured

    def _prepared(self, peer: Peer) -> bool:
        wanted = self.options.peers
        if wanted and peer.script not in wanted:
            return False
        try:
            if peer.environment != HERE_PYTHON:
                venvs.python_of(peer.environment)
            if peer.database:
                self.server.create(peer.database_name)
                # Twice: the first makes the schema. What starting and warming up alone cost is taken off later.
                self._once(peer, 0)
                self._idle[peer.name] = self._once(peer, 0)["pg"]
        except RuntimeError as error:
            self.measured.missing[peer.name] = str(error)
            return False
        return True

    def _measure(self, peer: Peer, number: int) -> None:
        try:
            result = self._once(peer, self.options.runs)
        except RuntimeError as error:
            self.measured.missing[peer.name] = str(error)
            return
        if "pg" in result:
            result["pg"] = {
                key: (result["pg"][key] - self._idle[peer.name][key]) / result["runs"] for key in result["pg"]
            }
            result |= {f"pg_{key}": value for key, value in result["pg"].items()}
        self.measured.rounds.setdefault(peer.name, []).append(result)
        said = (
            f"{result['runs_per_s']:.1f} runs/s, p50 {result['p50_ms']:.0f} ms, longest {result['longest_ms']:.0f} ms"
        )
        print(f"round {number + 1}: {peer.name}: {said}", file=sys.stderr, flush=True)

    def _once(self, peer: Peer, runs: int) -> dict[str, Any]:
        python = sys.executable if peer.environment == HERE_PYTHON else venvs.python_of(peer.environment)
        concurrency = str(self.options.concurrency)
        command = [python, str(HERE / "peers" / f"{peer.script}.py"), "--runs", str(runs), "--concurrency", concurrency]
        command += ["--mode", peer.mode, "--client", peer.client, "--model-url", self.model_url]
        before: dict[str, float] = {}
        if peer.database:
            command += ["--dsn", self.server.dsn(peer.database_name)]
            before = self.server.counters(peer.database_name)
        environment = OURS if peer.environment == HERE_PYTHON else {**os.environ, "PYTHONPATH": str(HERE)}
        ended = run(command, timeout_s=600, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if ended.returncode:
            raise RuntimeError(f"failed: {(ended.stderr.strip().splitlines() or ['without a word'])[-1]}")
        result: dict[str, Any] = json.loads(next(s for s in reversed(ended.stdout.splitlines()) if s.startswith("{")))
        if peer.database:
            time.sleep(0.2)  # the server's counters are late
            after = self.server.counters(peer.database_name)
            result["pg"] = {key: after[key] - before[key] for key in after}
        return result


def _cell(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def table(measured: Measured) -> str:
    """The rows as a Markdown table."""
    head = ("engine", "runs/s", "steps/s", "x floor", "/ LangGraph", "/ DBOS", "p50 ms", "p95 ms", "added CPU ms/step")
    lines = [
        "| " + " | ".join((*head, "PG CPU ms/run", "commits/run", "WAL kB/run", "WAL sync ms/run")) + " |",
        "|" + "---|" * (len(head) + 4),
    ]
    for name in (*(peer.name for peer in PEERS), LIMIT):
        if name in measured.missing:
            lines.append(f"| {name} | not measured: {measured.missing[name]} |" + " |" * (len(head) + 2))
        elif name in measured.rounds:
            lines.append("| " + " | ".join(_cells(measured, name)) + " |")
    return "\n".join(lines)


def _cells(measured: Measured, name: str) -> list[str]:
    alone = "engine only" in name or name == LIMIT
    per_s, cpu = measured.median(name, "runs_per_s"), measured.median(name, "pg_cpu")
    wal, server = measured.median(name, "pg_wal"), measured.median(name, "server_cpu_ms_per_run") or 0.0
    sync = measured.median(name, "pg_sync")
    others = (FLOOR, LANGGRAPH, DBOS) if not alone else ("", "LangGraph, engine only", "DBOS, engine only")
    added = _cell(measured.added_cpu_ms(name) if name != FLOOR else None, ".2f")
    return [
        name,
        _cell(per_s, ".1f"),
        _cell(None if per_s is None else per_s * STEPS_PER_RUN, ".0f"),
        *(_cell(measured.ratio(name, other), ".2f") for other in others),
        _cell(measured.median(name, "p50_ms"), ".0f"),
        _cell(measured.median(name, "p95_ms"), ".0f"),
        added + (f" (+{server / STEPS_PER_RUN:.1f} server)" if server else ""),
        _cell(None if cpu is None else 1000 * cpu, ".1f"),
        _cell(measured.median(name, "pg_commits"), ".1f"),
        _cell(None if wal is None else wal / 1000, ".1f"),
        _cell(None if sync is None else 1000 * sync, ".1f"),
    ]

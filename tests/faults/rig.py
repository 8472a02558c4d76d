"""What the fault tests stand on: an installation of its own, whose processes can be started, frozen and killed.

A rig has a database of its own (so that a worker finds no runs but the test's), a web server, a rehearsed model, a
server of effects with a ledger, a tenant, and two ways to have workers: `worker` forks one of a process that has loaded
everything (tens of milliseconds, `tests.faults.forge`), `cluster` starts the real command. All is looked at through
REST; `look` is the database's superuser, for what REST does not tell.
"""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from ops.demo.rest import Rest, RestError
from tests.faults.effects import Effects
from tests.faults.forge import Child, Forge
from tests.ops.processes import manage
from tests.worlds import World

Json = Any

SCRIPTS = Path(__file__).parent / "scripts"

#: Generous bound on how long a test waits for a run to move; nothing asserts on less.
PATIENCE_S = 60.0

#: Which command runs the workers of an engine.
COMMANDS: Mapping[str, tuple[str, ...]] = {"django_q": ("qcluster",), "temporal": ("temporal_worker",)}


@dataclass
class Rig:
    """An installation to break.

    environment: of its processes. web: address. keys: API keys of the tenant's `alice` (operator) and `rita` (who may
    decide). look: as superuser, in autocommit mode.
    """

    environment: dict[str, str]
    engine: str
    web: str
    effects: Effects
    forge: Forge
    world: World
    keys: dict[str, str]
    look: psycopg.Connection[tuple[Any, ...]]
    logs: Path

    @property
    def alice(self) -> Rest:
        """The API as the tenant's operator sees it."""
        return self.api("alice")

    def api(self, who: str, *, web: str | None = None) -> Rest:
        """The API as somebody sees it. web: another server's address."""
        return Rest(web or self.web, self.keys[who], host="localhost")

    # --- workers ----------------------------------------------------------------------------------------------------

    @contextmanager
    def worker(self, **arguments: Json) -> Iterator[Child]:
        """A worker process of this engine, killed when the block is left. arguments: see `tests.faults.processes`."""
        name = {"django_q": "worker", "temporal": "temporal_worker"}[self.engine]
        with self.forge.running(f"tests.faults.processes:{name}", **arguments) as child:
            yield child

    @contextmanager
    def cluster(self, *arguments: str, **variables: str) -> Iterator["Cluster"]:
        """The real command that runs workers, in a process group of its own; ended when the block is left."""
        path = self.logs / "workers.log"
        with path.open("a") as log:
            process = subprocess.Popen(
                manage(*COMMANDS[self.engine], *arguments),
                env={**self.environment, **variables},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        running = Cluster(process, path)
        try:
            yield running
        finally:
            running.end()

    # --- runs -------------------------------------------------------------------------------------------------------

    def start(self, agent: str, run_input: Json, key: str | None = None) -> str:
        """Submit a run over REST; returns its id."""
        run: str = self.alice.post("runs", {"agent": agent, "input": run_input}, idempotency_key=key)["id"]
        return run

    def run(self, run: str) -> Json:
        """Read a run over REST."""
        return self.alice.get(f"runs/{run}")

    def events(self, run: str) -> list[Json]:
        """Read a run's events over REST."""
        return list(self.alice.every(f"runs/{run}/events"))

    def open_questions(self, run: Json) -> list[Json]:
        """The escalations of a run (as REST gave it) that wait for an answer."""
        found = [self.alice.get(f"escalations/{each}") for each in run["escalations"]]
        return [each for each in found if each["status"] == "open"]

    def answer(self, question: Json, decision: str | None = None, **more: str) -> Json:
        """Decide as Rita. Without a decision: yes; on a call of unknown outcome, what the ledger says."""
        if decision is None:
            decision = self._what_happened(question) if question["kind"] == "reconcile" else "approve"
        body = {"decision": decision, "digest": question["proposal"]["digest"], **more}
        try:
            return self.api("rita").post(f"escalations/{question['id']}/decide", body)
        except RestError as error:
            # Between the look and the answer the run went on by itself.
            if error.status == 409:
                return None
            raise

    def _what_happened(self, question: Json) -> str:
        """Find out, as a person would, whether the call of unknown outcome had its effect."""
        unknown = [event["data"] for event in self.events(question["run"]) if event["type"] == "tool.unknown"]
        keys = [
            event["data"]["idempotency_key"]
            for event in self.events(question["run"])
            if event["type"] == "tool.requested"
            and (event["data"]["turn"], event["data"]["call"]) == (unknown[-1]["turn"], unknown[-1]["call"])
        ]
        return "approve" if self.effects.ledger.effects[keys[-1]] else "reject"

    def settle(self, run: str, *, people: bool = True, unless: Callable[[], bool] = lambda: False) -> Json:
        """Wait until a run has ended, answering what it asks (unless not `people`: then until it asks); returns it.

        unless: says to stop waiting.
        """
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            seen = self.run(run)
            if seen["ended_at"] or unless():
                return seen
            if seen["waiting_for"] == "decision":
                questions = self.open_questions(seen)
                if questions and not people:
                    return seen
                for question in questions:
                    self.answer(question)
            elif seen["waiting_for"] == "provider":
                self.look.execute("NOTIFY countersign_runs")  # a driver that sleeps looks at its timers
            time.sleep(0.01)
        told = "\n".join(map(self.told, [run, *seen["children"]]))
        raise AssertionError(f"the run does not move: {seen}\n{told}")

    def told(self, run: str) -> str:
        """A run's journal in lines, for a failure's message."""
        return "\n".join(f"{event['seq']} {event['type']} {event['data']}"[:300] for event in self.events(run))

    def is_let_go(self, run: str) -> bool:
        """Whether no worker holds the run."""
        return self.look.execute("SELECT worker FROM agents_run WHERE id = %s", [run]).fetchone() == (None,)

    def cut_idle(self) -> None:
        """End the sessions that stand still in a transaction, as the server does after half a minute."""
        self.look.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE datname = current_database() AND state LIKE 'idle in transaction%'"
        )

    def expire(self, run: str) -> None:
        """Let the run's lease run out now, as the passing of `LEASE_SECONDS` would.

        First what dead workers had begun is waited for: the server undoes it once it sees that they are gone.
        """
        self.look.execute("SELECT FROM agents_run WHERE id = %s FOR UPDATE", [run])
        self.look.execute(
            "UPDATE agents_run SET due_at = now() - interval '1 second' WHERE id = %s AND worker IS NOT NULL", [run]
        )


class Cluster:
    """A running worker command with all of its processes."""

    def __init__(self, process: "subprocess.Popen[bytes]", log: Path) -> None:
        self.process, self.log = process, log

    def kill(self) -> None:
        """End all of its processes at once, without a chance to clean up."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(PATIENCE_S)

    def end(self) -> None:
        """Stop it as an operator does, unless it is gone."""
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(PATIENCE_S)


def eventually(holds: Callable[[], bool]) -> bool:
    """Wait for something that other processes bring about; False only if it never comes."""
    until = time.monotonic() + PATIENCE_S
    while not holds():
        if time.monotonic() > until:
            return False
        time.sleep(0.01)
    return True

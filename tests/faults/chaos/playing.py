"""Clients, people and faults, all at once, and what must be right when they are done."""

import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import psycopg

from db import embedded
from db.embedded.postmaster import find_postmaster
from ops.demo.rest import RestError
from tests.faults.agents import http
from tests.faults.effects import Fault
from tests.faults.forge import Child
from tests.faults.invariants import broken
from tests.faults.rig import Rig

Json = Any

#: Agents by how many of the runs are theirs, and the tools whose effect each of their runs has once.
AGENTS: Final[Mapping[str, tuple[int, tuple[str, ...]]]] = {
    "careful": (5, ("book", "pay")),
    "payer": (2, ("pay",)),
    "giver": (2, ("give",)),
    "reader": (1, ()),
}

#: Workers at a time; unfinished runs at a time; who submits and who decides at a time.
WORKERS: Final = 3
OPEN: Final = 250
CLIENTS: Final = 3
DECIDERS: Final = 2

#: Seconds between kills of a worker, and how long a dead one's lease lasts.
KILL_S: Final = (1.0, 6.0)
LEASE_S: Final = 6

#: Seconds without any run getting further, with PostgreSQL up for most of them, that mean that nothing moves any more.
STUCK_S: Final = 240.0

#: Failures that are told.
TOLD: Final = 5


@dataclass
class Tally:
    """What has happened so far."""

    submitted: dict[str, tuple[str, str]] = field(default_factory=dict)
    repeated: int = 0
    restarts: Counter[str] = field(default_factory=Counter)
    kills: int = 0
    ended: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


class Chaos:
    """One go of it. pause_s: between restarts of PostgreSQL, at least and at most. seed: of the plan of faults."""

    def __init__(self, rig: Rig, data_dir: Path, *, runs: int, seed: int, pause_s: tuple[float, float]) -> None:
        self.rig, self.data_dir, self.runs, self.pause_s = rig, data_dir, runs, pause_s
        self.tally = Tally()
        self._superuser = embedded.ensure_running(data_dir).dsn()
        self.began = time.monotonic()
        self._chance = random.Random(seed)  # noqa: S311 - a plan that can be repeated
        self._over = threading.Event()
        self._left = iter(range(runs))
        self._troubles: list[BaseException] = []

    def play(self) -> list[str]:
        """Do it all; returns in a sentence each what is not right in the end."""
        plan = [random.Random(self._chance.random()) for _ in range(2)]  # noqa: S311
        parts: list[Callable[[], None]] = [
            *[self._submit] * CLIENTS,
            *[self._decide] * DECIDERS,
            lambda: self._restart(plan[0]),
            lambda: self._kill(plan[1]),
        ]
        threads = [threading.Thread(target=self._part, args=[part]) for part in parts]
        for thread in threads:
            thread.start()
        try:
            moves = self._watch()
        finally:
            self._over.set()
            for thread in threads:
                thread.join()
        if self._troubles:
            raise self._troubles[0]
        return self._check() if moves else ["nothing moves any more:", *self._unfinished()]

    def _part(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:
            self._troubles.append(error)
            self._over.set()

    # --- clients and people -----------------------------------------------------------------------------------------

    def _submit(self) -> None:
        """Submit runs one by one, as a client does that was not answered: again, with the same key."""
        while not self._over.is_set():
            with self.tally.lock:
                number = next(self._left, None)
                waiting = len(self.tally.submitted) - self.tally.ended
            if number is None:
                return
            while waiting > OPEN and not self._over.wait(0.2):
                waiting = len(self.tally.submitted) - self.tally.ended
            case, agent = f"case{number}", _agent_of(number)
            if agent == "careful" and number % 3 == 0:
                self.rig.effects.will(f"/read/{case}", Fault(503))
            while not self._over.is_set():
                try:
                    run = self.rig.start(agent, {"case": case}, key=case)
                except RestError as error:
                    _raise_unless_passing(error)
                    self.tally.repeated += 1
                    time.sleep(0.3)
                else:
                    with self.tally.lock:
                        self.tally.submitted[case] = (run, agent)
                    break

    def _decide(self) -> None:
        """Answer what is asked, until all is over."""
        while not self._over.wait(0.2):
            try:
                page = self.rig.api("rita").get("escalations?status=open&limit=50")["results"]
                random.shuffle(page)
                for question in page:
                    decision = "respond" if question["kind"] == "question" else None
                    self.rig.answer(question, decision, message="Go on.")
            except RestError as error:
                _raise_unless_passing(error)

    # --- faults -----------------------------------------------------------------------------------------------------

    def _restart(self, plan: random.Random) -> None:
        """Restart PostgreSQL: in good order, or as a crash of the server or of the whole of it."""
        layout = embedded.ensure_running(self.data_dir).layout
        while not self._over.wait(plan.uniform(*self.pause_s)):
            how = plan.choice(["stopped", "stopped", "crashed", "killed"])
            postmaster = find_postmaster(layout)
            if how == "stopped" or postmaster is None:
                embedded.stop(self.data_dir)
            else:
                os.kill(postmaster.pid, signal.SIGQUIT if how == "crashed" else signal.SIGKILL)
            time.sleep(plan.uniform(0.0, 2.0))
            embedded.ensure_running(self.data_dir, check=True)
            self.tally.restarts[how] += 1

    def _kill(self, plan: random.Random) -> None:
        """Keep some workers at work, and kill one now and then."""
        workers = [self._worker() for _ in range(WORKERS)]
        while not self._over.wait(plan.uniform(*KILL_S)):
            place = plan.randrange(WORKERS)
            workers[place].send(signal.SIGKILL)
            workers[place].end()
            self.tally.kills += 1
            workers[place] = self._worker()
        for worker in workers:
            worker.end()

    def _worker(self) -> Child:
        return self.rig.forge.start("tests.faults.processes:worker")

    # --- what comes of it -------------------------------------------------------------------------------------------

    def _watch(self) -> bool:
        """Wait until all runs have ended, and tell how it goes; False when none gets any further."""
        moved, at, told = (0, 0), time.monotonic(), 0.0
        while not self._over.wait(1.0):
            seen = self._progress()
            if seen is None:
                continue
            self.tally.ended = seen[0]
            if seen != moved:
                moved, at = seen, time.monotonic()
            if time.monotonic() - told > 10:
                told = time.monotonic()
                print(self.line(), flush=True)
            if self.tally.ended == self.runs:
                return True
            if time.monotonic() - at > STUCK_S:
                return False
        return True

    def _progress(self) -> tuple[int, int] | None:
        """How many runs have ended, and the sum of what is recorded; None while the database is away."""
        try:
            if self.rig.look.closed:
                self.rig.look = psycopg.connect(self._superuser, autocommit=True)
            query = "SELECT count(*) FILTER (WHERE ended_at IS NOT NULL), coalesce(sum(seq), 0) FROM agents_run"
            found = self.rig.look.execute(query).fetchone()
        except psycopg.OperationalError:
            return None
        return None if found is None else (int(found[0]), int(found[1]))

    def line(self) -> str:
        """How it goes."""
        tally = self.tally
        return (
            f"{time.monotonic() - self.began:6.0f} s  {len(tally.submitted):5} submitted  {tally.ended:5} ended  "
            f"{sum(tally.restarts.values()):3} restarts  {tally.kills:3} workers killed"
        )

    def _unfinished(self) -> list[str]:
        rows = self.rig.look.execute(
            "SELECT id, status, waiting_for, doing, ready_at, due_at, worker, tries FROM agents_run"
            " WHERE ended_at IS NULL LIMIT %s",
            [TOLD],
        )
        return [str(row) for row in rows]

    def _check(self) -> list[str]:
        """Look at every run, and at the ledger as a whole."""
        found = []
        with ThreadPoolExecutor(4) as pool:
            for case, wrong in pool.map(self._wrong, self.tally.submitted.items()):
                if wrong:
                    found.append(f"{case}: {'; '.join(wrong)}\n{self.rig.told(self.tally.submitted[case][0])}")
        known = {run for run, _ in self.tally.submitted.values()}
        stored = self.rig.look.execute("SELECT id::text FROM agents_run").fetchall()
        if {row[0] for row in stored} != known:
            found.append(f"{len(stored)} runs are there, {len(known)} were asked for")
        strange = [key for key in self.rig.effects.ledger.effects if key[:36] not in known]
        if strange:
            found.append(f"effects of no run: {strange[:TOLD]}")
        left = self.rig.look.execute(
            "SELECT sum(reserved_usd_nano), sum(reserved_tokens) FROM quotas_window"
        ).fetchone()
        if left != (0, 0):
            found.append(f"nano-USD and tokens that are still reserved: {left}")
        return found

    def _wrong(self, submitted: tuple[str, tuple[str, str]]) -> tuple[str, list[str]]:
        case, (run, agent) = submitted
        wrong = broken(self.rig.alice, run, self.rig.effects.ledger, None)
        status = self.rig.run(run)["status"]
        if status != "completed":
            wrong.append(f"it is {status}")
        effects = sorted(key.rpartition("-")[2] for key in self.rig.effects.ledger.of(run))
        if effects != sorted(AGENTS[agent][1]):
            wrong.append(f"its effects are {effects}")
        return case, wrong


def also(rig: Rig) -> None:
    """Make the agent that the rig lacks: one that gives without asking, and must not do it twice."""
    give = http("POST", f"{rig.effects.url}/each/{{case}}", effect="write")
    rig.world.define("giver", role="You give.", tool_specs={"give": give})
    for agent in ("giver", "reader"):
        rig.world.grant("review", rig.world.agent(agent), rig.world.rita)


def _agent_of(number: int) -> str:
    """Share the runs out among the agents."""
    names = [name for name, (weight, _) in AGENTS.items() for _ in range(weight)]
    return names[number % len(names)]


def _raise_unless_passing(error: RestError) -> None:
    """Go on only after what a client tries again: no answer, or one that says so."""
    if error.status and error.status not in {500, 502, 503, 504, 429}:
        raise error

"""Row 29: 64 workers against the same budgets: never above a limit at any moment, and nothing stays reserved.

A watcher looks as often as it can while they work: as the superuser, who sees only what is committed.
"""

import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import date
from random import Random
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from django.db import connection

from agents.actions import budgets
from db.scope import tenant_scope
from quotas import reservations
from quotas.models import Budget
from quotas.reservations import Payer
from tests.faults.rig import Rig, eventually
from tests.worlds import world

pytestmark = pytest.mark.usefixtures("database")

WORKERS = 64
ROUNDS = 6
DAY = date(2026, 11, 22)

_ABOVE = """
SELECT count(*) FROM quotas_budget b JOIN quotas_window w ON w.budget_id = b.id
WHERE w.spent_usd_nano + w.reserved_usd_nano > b.usd_nano + w.extra_usd_nano
   OR w.spent_tokens + w.reserved_tokens > b.tokens + w.extra_tokens
"""


@contextmanager
def watched(rig: Rig) -> Iterator[list[int]]:
    """Look all the time for windows above their limits; yields how many each look found."""
    found, over = list[int](), threading.Event()

    def watch() -> None:
        with psycopg.connect(rig.look.info.dsn, password=rig.look.info.password, autocommit=True) as session:
            while not over.is_set():
                row = session.execute(_ABOVE).fetchone()
                found.append(row[0] if row else 0)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield found
    finally:
        over.set()
        thread.join()


def left(rig: Rig) -> Any:
    """What is still reserved in all windows together: nano-USD and tokens."""
    return rig.look.execute("SELECT sum(reserved_usd_nano), sum(reserved_tokens) FROM quotas_window").fetchone()


def test_64_at_once_are_never_above_any_limit(rig: Rig) -> None:
    """Each of them pays from another set of seven budgets, so that their locks cross in every order there is."""
    of = world()
    agents, users = [uuid4(), uuid4()], [uuid4(), uuid4()]
    subjects: list[tuple[str, UUID | None, str]] = [("tenant", None, "month"), ("tenant", None, "day")]
    subjects += [("agent", each, "month") for each in agents] + [("user", each, "day") for each in users]
    with tenant_scope(of.tenant_id):
        for subject, of_id, period in [*subjects, ("agent", agents[0], "day")]:
            Budget.objects.create(of=subject, of_id=of_id, period=period, usd_nano=300, tokens=2000)
    connection.close()
    together = threading.Barrier(WORKERS)

    def work(number: int) -> tuple[int, int]:
        dice, made, spent = Random(number), 0, 0  # noqa: S311 - the same choices each time
        together.wait()
        for _ in range(ROUNDS):
            payer = Payer(of.tenant_id, dice.choice(agents), dice.choice(users))
            with session(rig, of.tenant_id) as raw:
                windows = reservations.counting_windows(raw, payer, on=DAY)
                held = reservations.reservation(30, 100, on=DAY, windows=windows)
                got = reservations.reserve(raw, held, tenant_id=of.tenant_id)
            if got:
                cost = dice.randrange(4)
                with session(rig, of.tenant_id) as raw:
                    settling = held.settled(usd_nano=cost, tokens=cost)
                    assert reservations.make(raw, settling, tenant_id=of.tenant_id)
                made, spent = made + 1, spent + cost
        return made, spent

    with watched(rig) as found, ThreadPoolExecutor(WORKERS) as pool:
        done = list(pool.map(work, range(WORKERS)))

    assert sum(made for made, _ in done) > WORKERS
    assert sum(made for made, _ in done) < WORKERS * ROUNDS, "nobody was ever refused"
    assert set(found) == {0}
    assert left(rig) == (0, 0)
    in_all = "SELECT spent_usd_nano FROM quotas_window w JOIN quotas_budget b ON b.id = budget_id WHERE of = 'tenant'"
    told = rig.look.execute(in_all + " AND w.tenant_id = %s", [of.tenant_id]).fetchall()
    assert {row[0] for row in told} == {sum(spent for _, spent in done)}


@contextmanager
def session(rig: Rig, tenant_id: UUID) -> Iterator[psycopg.Connection[Any]]:
    """A connection of its own, as the runtime role, in a transaction in the tenant's scope."""
    settings = connection.get_connection_params()
    given = {name: settings[name] for name in ("dbname", "user", "password", "host", "port") if settings.get(name)}
    with psycopg.connect(**given) as raw:
        raw.execute("SELECT set_config('app.tenant', %s, true)", [str(tenant_id)])
        yield raw


def let_on(rig: Rig, runs: list[str]) -> int:
    """Approve whatever the runs and their children ask, and return how many of the runs have ended."""
    seen = [rig.run(run) for run in runs]
    for run in [*seen, *(rig.run(child) for each in seen for child in each["children"])]:
        if run["waiting_for"] == "decision":
            for question in rig.open_questions(run):
                rig.answer(question)
    return sum(bool(run["ended_at"]) for run in seen)


@pytest.mark.timeout(300)
def test_workers_that_are_killed_leave_nothing_reserved_and_nothing_above(rig: Rig) -> None:
    """Real processes, each killed while runs are under way, a third of which start runs of their own; those that found
    no room are let on by a person."""
    with tenant_scope(rig.world.tenant_id):
        for name, of, window in (
            ("readers", {"agent": "reader"}, "day"),
            ("everybody", {"tenant": True}, "month"),
            ("alices", {"user": f"alice@{rig.world.slug}.example"}, "month"),
        ):
            spec = {"of": of, "window": window, "usd": "4.00"}  # a run holds one
            budgets.put(name, spec, acting_as=rig.world.alice)
    for slug in ("reader", "boss"):
        rig.world.grant("review", rig.world.agent(slug), rig.world.rita)
    runs = [rig.start(agent, {"case": uuid4().hex[:8]}) for agent in ("reader", "reader", "boss") * 4]

    with watched(rig) as found:
        for number in (0, 1, 2):
            with rig.worker() as first, rig.worker() as second:
                assert eventually(lambda least=number * 3: let_on(rig, runs) > least)  # type: ignore[misc]
                first.send(signal.SIGKILL)
                second.send(signal.SIGKILL)
            for run in [*runs, *(child for each in runs for child in rig.run(each)["children"])]:
                rig.expire(run)
        with rig.worker():
            assert eventually(lambda: let_on(rig, runs) == len(runs))

    ended = [rig.run(run) for run in runs]
    assert {run["status"] for run in ended} == {"completed"}
    assert sum(len(run["children"]) for run in ended) == 4
    assert set(found) == {0}
    assert left(rig) == (0, 0)

"""Runs driven by a real driver: claimed, executed, parked, woken, ended."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest

from access import grants
from agents.actions.runs import Request, submit
from agents.engine import claims
from agents.engine.driver import Driver
from agents.models import Run, Tool
from agents.providers.claude import ClaudeProvider
from db.scope import tenant_scope
from escalations.actions.decisions import Answer, decide
from escalations.models import Escalation
from tenants.models import Role
from tests.agents.engine.conftest import PATIENCE_S
from tests.agents.engine.serving import serving
from tests.worlds import LEDGER, LOOKUP, PAY, World

Settles = Callable[[World, UUID], Run]


def test_it_completes_a_run_with_parallel_calls(acme: World, driver: Driver, settles: Settles) -> None:
    acme.define("looker", role="You look keys up.", tool_specs={"lookup": LOOKUP})
    run = acme.submit("looker", {"a": f"a{acme.slug}", "b": f"b{acme.slug}"})

    ended = settles(acme, run.id)

    assert ended.status == "completed"
    assert acme.actions(run.id) == [
        "run.submitted",
        "run.started",
        "budget.reserved",
        "model.requested",
        "model.answered",
        "tool.requested",
        "tool.requested",
        "tool.finished",
        "tool.finished",
        "model.requested",
        "model.answered",
        "output.accepted",
        "budget.settled",
        "run.completed",
    ]
    assert [stored.seq for stored in acme.events(run.id)] == list(range(1, 15))
    assert LEDGER.effects[f"lookup a{acme.slug}"] == 1


def test_an_approved_call_is_made_once_and_the_run_goes_on(acme: World, driver: Driver, settles: Settles) -> None:
    acme.define("payer", role="You pay.", tool_specs={"pay": PAY})
    run = acme.submit("payer", {"to": acme.slug})
    assert settles(acme, run.id).waiting_for == "decision"
    assert LEDGER.effects[f"pay 500 to {acme.slug}"] == 0

    with tenant_scope(acme.tenant_id):
        escalation = Escalation.objects.get(run_id=run.id)
    made = Answer("approve", escalation.digest)
    acme.grant("review", acme.agent("payer"), acme.rita)
    decide(escalation.id, made, acting_as=acme.rita)

    ended = settles(acme, run.id)
    while ended.status != "completed":
        ended = settles(acme, run.id)
    assert LEDGER.effects[f"pay 500 to {acme.slug}"] == 1


def test_a_grant_taken_away_in_mid_run_stops_the_next_call(acme: World, model_url: str, settles: Settles) -> None:
    acme.define("looker", role="You look up twice.", tool_specs={"lookup": LOOKUP})
    dan = acme.member("dan", Role.DEVELOPER)
    acme.grant("run", acme.agent("looker"), dan)
    with tenant_scope(acme.tenant_id):
        lookup = Tool.objects.get(name="lookup")
    acme.grant("use", lookup, dan)
    run = submit(Request("looker", {"a": f"a {acme.slug}", "b": f"b {acme.slug}"}), acting_as=dan).run
    with serving(model_url):
        while "tool.finished" not in acme.actions(run.id):
            time.sleep(0.005)
        with tenant_scope(acme.tenant_id):
            for grant in grants.of(lookup):
                grants.remove(lookup, grant.id, acting_as=acme.alice)
        assert settles(acme, run.id).status == "completed"
    assert LEDGER.effects[f"lookup a {acme.slug}"] == 1
    assert LEDGER.effects[f"lookup b {acme.slug}"] == 0
    denied = [stored for stored in acme.events(run.id) if stored.action == "tool.denied"]
    assert [stored.facts["code"] for stored in denied] == ["not_granted"]


def test_whoever_lost_a_run_leaves_it_to_the_thread_that_has_it_now(acme: World, model_url: str) -> None:
    with serving(model_url) as driver:
        old: Any = SimpleNamespace(id=acme.tenant_id, epoch=1)
        new: Any = SimpleNamespace(id=acme.tenant_id, epoch=2)

        def carry_on(_: object) -> None:
            """Hang until this process has taken the run up again."""
            driver._active[old.id] = new

        driver._drive(SimpleNamespace(run=old, until=None, carry_on=carry_on), None)  # type: ignore[arg-type]

        assert driver._active.pop(old.id) is new


def test_a_claim_that_looked_before_the_last_run_was_there_looks_again(
    acme: World, model_url: str, settles: Settles, monkeypatch: pytest.MonkeyPatch
) -> None:
    early = _EarlyClaim(claims.claim, acme)
    monkeypatch.setattr(claims, "claim", early)
    acme.define("looker", role="You look keys up.", tool_specs={"lookup": LOOKUP})
    driver = Driver(ClaudeProvider("rehearsal", model_url).answer)  # nobody polls: each run has its one claim
    try:
        runs = [acme.submit("looker", {"a": f"a{acme.slug}", "b": f"b{acme.slug}"})]
        driver.claim_soon(chain=False)
        assert early.begun.wait(PATIENCE_S)
        runs.append(acme.submit("looker", {"a": f"a{acme.slug}", "b": f"b{acme.slug}"}))
        driver.claim_soon(chain=False)

        assert [settles(acme, run.id).status for run in runs] == ["completed", "completed"]
    finally:
        driver.close()


def test_a_driver_that_is_told_to_stop_does_not_look_again(acme: World, monkeypatch: pytest.MonkeyPatch) -> None:
    stopping, looked, said = threading.Event(), [], threading.Event()

    @contextmanager
    def nothing_ready(worker: str, **_: Any) -> Iterator[Any]:
        looked.append(worker)
        stopping.set()
        driver._told += 1  # a run is said to be ready meanwhile
        said.set()
        yield None
        assert len(looked) < 10

    monkeypatch.setattr(claims, "claim", nothing_ready)
    driver = Driver(lambda: None, stopping=stopping.is_set)
    driver.claim_soon(chain=False)
    assert said.wait(PATIENCE_S)
    driver.close()
    assert len(looked) == 1


class _EarlyClaim:
    """Claims runs of one tenant. The first claim began before the second run was there, and finds its own one taken."""

    def __init__(self, claim: Callable[..., Any], acme: World) -> None:
        self._claim, self._after = claim, UUID(int=acme.tenant_id.int - 1)
        self._first, self._taken, self.begun = threading.Lock(), threading.Event(), threading.Event()

    @contextmanager
    def __call__(self, worker: str, *, after: UUID, calling: bool = True) -> Iterator[Any]:
        if self._first.acquire(blocking=False):
            self.begun.set()
            assert self._taken.wait(PATIENCE_S)
            yield None
            return
        with self._claim(worker, after=self._after, calling=calling) as claimed:
            yield claimed
        self._taken.set()

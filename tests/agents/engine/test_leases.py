"""What happens when a worker dies, freezes, or meets another."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from queue import SimpleQueue
from typing import Any
from uuid import UUID

import psycopg
import pytest
from django.conf import settings
from django.db import connection
from django.db.models.functions import Now

from agents.actions.runs import Request, cancel, submit
from agents.core.decide import CallModel, Perform
from agents.core.events import ModelFailed
from agents.core.fold import fold
from agents.core.state import Call
from agents.engine import claims, leases, store
from agents.engine.executor import Means, RunExecutor, Stopped
from agents.engine.leases import LostLease
from agents.engine.seam import engine_of
from agents.engine.store import Overtaken
from agents.engine.toolbox import perform_call
from agents.models import Run
from agents.providers.claude import ClaudeProvider
from db import embedded, pool
from db.scope import tenant_scope
from escalations.actions.decisions import Answer, decide
from escalations.models import Escalation
from quotas.models import Window
from quotas.reservations import reservation
from tests.agents.engine.serving import serving
from tests.worlds import LEDGER, LOOKUP, PAY, World, world

Settles = Callable[[World, UUID], Run]
NOBODY = UUID(int=0)


@pytest.fixture
def means(model_url: str) -> Means:
    """What an executor of the test's own performs with."""
    answer = ClaudeProvider("rehearsal", model_url).answer
    return Means(answer, perform_call, tools=None, stopping=lambda: False)  # type: ignore[arg-type]


def claim_and_begin(means: Means, run: Run) -> RunExecutor:
    """Claim that run as a worker of the test's own, commit its first intent, and do no more."""
    with claims.claim("test", after=UUID(int=run.tenant_id.int - 1)) as claimed:
        assert claimed is not None
        step, mine = claimed
        assert mine.id == run.id
        executor = RunExecutor(mine, means)
        executor.command = executor.begin(step)  # type: ignore[attr-defined]
    return executor


def expire(acme: World, run: Run) -> None:
    """Let the run's lease run out."""
    with tenant_scope(acme.tenant_id):
        Run.objects.filter(id=run.id).update(due_at=Now() - timedelta(seconds=1))


def lookup_run(acme: World) -> Run:
    acme.define("looker", role="You look up twice.", tool_specs={"lookup": LOOKUP})
    return acme.submit("looker", {"a": f"a {acme.slug}", "b": f"b {acme.slug}"})


def test_a_claimed_run_is_not_claimed_again(acme: World, means: Means) -> None:
    claim_and_begin(means, lookup_run(acme))
    with claims.claim("other", after=UUID(int=acme.tenant_id.int - 1)) as claimed:
        assert claimed is None or claimed[1].tenant_id != acme.tenant_id


def test_a_worker_that_lost_its_lease_writes_nothing(acme: World, means: Means) -> None:
    run = lookup_run(acme)
    frozen = claim_and_begin(means, run)
    expire(acme, run)
    leases.sweep_and_next()
    claim_and_begin(means, run)
    before = acme.actions(run.id)

    event = ModelFailed(turn=1, model="m", code="overloaded", retryable=True, error="late")
    with pytest.raises(LostLease):
        store.append(frozen.run, fold(frozen.state, event), [event])

    assert acme.actions(run.id) == before


def test_a_worker_frozen_past_its_lease_begins_no_effect(acme: World, means: Means) -> None:
    frozen = claim_and_begin(means, lookup_run(acme))
    frozen.run.lease_until = leases.lease_clock()
    with pytest.raises(LostLease):
        frozen.carry_on(CallModel(1))


def test_a_model_call_lost_with_its_worker_is_charged_at_its_bound_and_made_again(
    acme: World, means: Means, model_url: str, settles: Settles
) -> None:
    run = lookup_run(acme)
    claim_and_begin(means, run)
    expire(acme, run)
    with serving(model_url):
        ended = settles(acme, run.id)
    assert ended.status == "completed"
    lost = [stored for stored in acme.events(run.id) if stored.action == "model.failed"]
    assert [(each.facts["code"], each.facts["estimated"]) for each in lost] == [("lost", True)]
    assert lost[0].facts["cost_nano"] > 0
    assert ended.model_calls == 4


def test_a_read_lost_in_mid_air_is_made_again(acme: World, means: Means, model_url: str, settles: Settles) -> None:
    run = lookup_run(acme)
    dying = claim_and_begin(means, run)
    command = dying._commit([dying._call_model(CallModel(1))])
    assert isinstance(command, Perform)
    expire(acme, run)
    with serving(model_url):
        assert settles(acme, run.id).status == "completed"
    assert acme.actions(run.id).count("tool.requested") == 2
    assert LEDGER.effects[f"lookup a {acme.slug}"] == 1


def test_an_irreversible_call_lost_in_mid_air_waits_for_a_person(
    acme: World, means: Means, model_url: str, settles: Settles
) -> None:
    acme.define("payer", role="You pay.", tool_specs={"pay": PAY | {"approval": {"when": "false"}}})
    run = acme.submit("payer", {"to": acme.slug})
    dying = claim_and_begin(means, run)
    assert isinstance(dying._commit([dying._call_model(CallModel(1))]), Perform)
    expire(acme, run)
    with serving(model_url):
        assert settles(acme, run.id).waiting_for == "decision"
    assert LEDGER.effects[f"pay 500 to {acme.slug}"] == 0
    with tenant_scope(acme.tenant_id):
        assert Escalation.objects.get(run_id=run.id).kind == "reconcile"


def test_a_step_that_others_were_faster_than_reserves_nothing(acme: World, means: Means) -> None:
    run = lookup_run(acme)
    executor = claim_and_begin(means, run)
    cancel(run.id, acting_as=acme.alice)
    event = ModelFailed(turn=1, model="m", code="overloaded", retryable=True, error="late")
    more = reservation(10, 10, on=executor.run.now().date())

    def reserved() -> list[tuple[int, int]]:
        with tenant_scope(acme.tenant_id):
            return list(Window.objects.values_list("reserved_usd_nano", "reserved_tokens"))

    before = reserved()
    with store.step(executor.run) as step, pytest.raises(Overtaken):
        step.append(fold(executor.state, event), [event], budget=more)

    assert len(before) == 1
    assert reserved() == before


def test_what_others_append_is_seen_before_the_next_step(acme: World, means: Means) -> None:
    run = lookup_run(acme)
    executor = claim_and_begin(means, run)
    cancel(run.id, acting_as=acme.alice)
    event = ModelFailed(turn=1, model="m", code="overloaded", retryable=True, error="late")
    with pytest.raises(Overtaken):
        store.append(executor.run, fold(executor.state, event), [event])

    executor.carry_on(CallModel(1))

    assert acme.run(run.id).status == "cancelled"
    assert acme.actions(run.id)[-3:] == ["model.answered", "budget.settled", "run.cancelled"]


def test_a_flood_of_one_tenant_does_not_hold_up_another(database: None, means: Means) -> None:
    flooder, other = world(), world()
    for each in (flooder, other):
        each.define("looker", role="You look up twice.", tool_specs={"lookup": LOOKUP})
    for number in range(30):
        flooder.submit("looker", {"a": f"{number}", "b": "b"})
    waiting = other.submit("looker", {"a": "a", "b": "b"})
    served: list[UUID] = []
    after = flooder.tenant_id
    for _ in range(2):
        with claims.claim("test", after=after) as claimed:
            assert claimed is not None
            step, mine = claimed
            RunExecutor(mine, means).begin(step)
            after = mine.tenant_id
            served.append(mine.id)
    assert waiting.id in served


def crashes(acme: World, executor: RunExecutor, run: Run) -> None:
    expire(acme, run)
    leases.sweep_and_next()


def is_given_back(acme: World, executor: RunExecutor, run: Run) -> None:
    leases.release(executor.run)


def is_answered(acme: World, executor: RunExecutor, run: Run) -> None:
    executor.carry_on(CallModel(1))
    with tenant_scope(acme.tenant_id):
        asked = Escalation.objects.get(run_id=run.id)
    decide(asked.id, Answer("approve", asked.digest), acting_as=acme.rita)


@pytest.mark.parametrize("what", [crashes, is_given_back, is_answered])
def test_what_was_begun_goes_before_its_tenants_runs_that_came_later(
    acme: World, means: Means, what: Callable[[World, RunExecutor, Run], None]
) -> None:
    acme.define("payer", role="You pay.", tool_specs={"pay": PAY})
    acme.grant("review", acme.agent("payer"), acme.rita)
    run = acme.submit("payer", {"to": acme.slug})
    executor = claim_and_begin(means, run)
    for number in range(5):
        acme.submit("payer", {"to": f"{number}"})

    what(acme, executor, run)

    claim_and_begin(means, run)


def test_a_run_that_is_more_urgent_goes_before_what_was_begun(acme: World, means: Means) -> None:
    executor = claim_and_begin(means, lookup_run(acme))
    urgent = submit(Request("looker", {"a": "a", "b": "b"}, priority=1), acting_as=acme.alice).run
    leases.release(executor.run)
    claim_and_begin(means, urgent)


def test_a_run_that_cannot_be_taken_up_holds_up_no_other(acme: World, means: Means) -> None:
    broken = lookup_run(acme)
    fine = acme.submit("looker", {"a": "a", "b": "b"})
    with pytest.raises(RuntimeError, match="cannot be read"):
        _fail_to_begin(broken)
    with claims.claim("test", after=UUID(int=acme.tenant_id.int - 1)) as claimed:
        assert claimed is not None
        assert claimed[1].id == fine.id


def _fail_to_begin(run: Run) -> None:
    with claims.claim("test", after=UUID(int=run.tenant_id.int - 1)) as claimed:
        assert claimed is not None
        assert claimed[1].id == run.id
        raise RuntimeError("it cannot be read")


def test_a_known_result_survives_a_connection_that_is_cut(
    acme: World, means: Means, embedded_server: embedded.Server
) -> None:
    run = lookup_run(acme)
    executor = claim_and_begin(means, run)
    answered = executor._call_model(CallModel(1))
    database = str(connection.settings_dict["NAME"])
    with psycopg.connect(embedded_server.dsn(database=database), autocommit=True) as superuser:
        superuser.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'countersign_app' AND datname = %s",
            [database],
        )
    assert isinstance(executor._commit([answered]), Perform)
    connection.close()
    pool.close()  # the connections that were cut are no other test's to meet
    assert acme.actions(run.id)[-2:] == ["model.answered", "tool.requested"]


def test_a_commit_whose_answer_was_lost_is_not_made_twice(
    acme: World, means: Means, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = lookup_run(acme)
    executor = claim_and_begin(means, run)
    answered = executor._call_model(CallModel(1))
    real = store.append

    def cut(*arguments: Any, **more: Any) -> None:
        monkeypatch.setattr(store, "append", real)
        real(*arguments, **more)
        raise psycopg.OperationalError("the connection was cut behind the commit")

    monkeypatch.setattr(store, "append", cut)
    command = executor._commit([answered])
    assert isinstance(command, Perform)
    executor.carry_on(command)
    assert acme.run(run.id).status == "completed"
    assert acme.actions(run.id).count("tool.requested") == 2


def test_a_heartbeat_leaves_a_parked_run_alone(acme: World, means: Means) -> None:
    acme.define("payer", role="You pay.", tool_specs={"pay": PAY | {"approval": {"when": "true", "expires_s": 3600}}})
    run = acme.submit("payer", {"to": acme.slug})
    executor = claim_and_begin(means, run)
    executor.carry_on(CallModel(1))
    parked = acme.run(run.id)
    assert parked.status == "waiting"
    assert leases.heartbeat([executor.run]) == set()
    leases.release(executor.run)
    again = acme.run(run.id)
    assert (again.due_at, again.ready_at) == (parked.due_at, None)


def test_a_step_that_ends_after_its_lease_was_given_back_gives_it_back_again(acme: World, means: Means) -> None:
    run = lookup_run(acme)
    executor = claim_and_begin(means, run)
    answered = executor._call_model(CallModel(1))
    leases.release(executor.run)  # the worker is stopping, and does not wait any longer
    executor.means = replace(means, stopping=lambda: True)

    assert isinstance(executor._commit([answered]), Stopped)

    left = acme.run(run.id)
    assert (left.worker, left.ready_at, left.tries) == (None, left.created_at, 0)


def test_a_call_that_waited_for_a_thread_is_not_made_without_a_lease(acme: World, means: Means) -> None:
    executor = claim_and_begin(means, lookup_run(acme))
    leases.release(executor.run)
    done: SimpleQueue[Any] = SimpleQueue()
    executor._perform_one(Call(0, "toolu_1", "lookup", {"key": f"late {acme.slug}"}), "key", done)
    assert isinstance(done.get()[1], LostLease)
    assert LEDGER.effects[f"lookup late {acme.slug}"] == 0


@pytest.mark.parametrize(("seconds", "lasts"), [("", "60.0 10.0 15.0"), ("6", "6.0 1.0 1.5")])
def test_an_operator_says_how_long_a_lease_lasts(process_environment: dict[str, str], seconds: str, lasts: str) -> None:
    lengths = "leases.LEASE.total_seconds(), leases.SAFETY.total_seconds(), driver.HEARTBEAT_S"
    said = f"from agents.engine import driver, leases; print({lengths})"
    command = [sys.executable, str(settings.BASE_DIR / "manage.py"), "shell", "--no-imports", "-c", said]

    shown = subprocess.run(
        command, env=process_environment | {"LEASE_SECONDS": seconds}, capture_output=True, text=True, check=True
    )

    assert shown.stdout.split() == lasts.split()


def test_a_claim_says_nothing_that_no_record_says(acme: World, means: Means) -> None:
    acme.define("payer", role="You pay.", tool_specs={"pay": PAY})
    run = acme.submit("payer", {"to": acme.slug})
    claim_and_begin(means, run).carry_on(CallModel(1))
    parked = acme.run(run.id)
    with tenant_scope(acme.tenant_id):
        engine_of(run).wake(run.id)

    with claims.claim("test", after=UUID(int=run.tenant_id.int - 1)) as claimed:
        assert claimed is not None
        mine = claimed[1]

    held = acme.run(run.id)
    assert (held.status, held.waiting_for, held.seq) == (parked.status, parked.waiting_for, parked.seq)
    assert (held.epoch, held.worker) == (parked.epoch + 1, "test")
    leases.release(mine)
    given_back = acme.run(run.id)
    assert (given_back.worker, given_back.ready_at is None) == (None, False)

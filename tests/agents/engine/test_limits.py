"""The supplier's limits as runs meet them: they wait their turn holding nothing, and none is left behind."""

from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID

import httpx2
import pytest
from django.db.models.functions import Now

from agents.core.decide import Command, Park
from agents.core.state import Call
from agents.engine import claims, leases
from agents.engine.executor import Means, RunExecutor
from agents.engine.leases import Claimed
from agents.engine.toolbox import perform_call
from agents.models import Run
from agents.providers.claude import ClaudeProvider
from agents.tools.seam import Outcome
from db.scope import tenant_scope
from escalations.actions.decisions import Answer, decide
from escalations.models import Escalation
from quotas.models import ModelCall
from quotas.provider import Gate, Place
from tests.agents.engine.serving import serving
from tests.agents.providers.servers import rehearsal
from tests.worlds import LEDGER, LOOKUP, PAY, World

Settles = Callable[[World, UUID], Run]


@pytest.fixture
def gates(database: None) -> Iterator[Callable[..., Gate]]:
    """Make gates, each as of a process of its own."""
    ModelCall.objects.all().delete()
    made: list[Gate] = []

    def make(concurrency: int = 0, tokens: int = 0, window_s: float = 60.0) -> Gate:
        made.append(Gate(concurrency=concurrency, tokens=tokens, window_s=window_s))
        return made[-1]

    yield make
    for gate in made:
        gate.close()


def all_of(gate: Gate) -> list[Place]:
    """Take every place there is."""
    return [place for _ in range(gate.concurrency) if (place := gate.enter()) is not None]


def looker(acme: World) -> None:
    acme.define("looker", role="You look up twice.", tool_specs={"lookup": LOOKUP})


def test_two_workers_never_have_more_calls_in_the_air(
    acme: World, settles: Settles, gates: Callable[..., Gate]
) -> None:
    looker(acme)
    runs = [acme.submit("looker", {"a": f"{number}", "b": acme.slug}) for number in range(12)]
    with rehearsal(Path(__file__).parent / "scripts") as url:
        with serving(url, gates(3)), serving(url, gates(3)):
            assert all(settles(acme, run.id).status == "completed" for run in runs)
        assert 1 < httpx2.get(f"{url}/rehearsal/stats").json()["most_open"] <= 3


def test_a_run_in_the_middle_waits_its_turn_holding_nothing(
    acme: World, model_url: str, settles: Settles, gates: Callable[..., Gate]
) -> None:
    looker(acme)
    run = acme.submit("looker", {"a": f"a {acme.slug}", "b": f"b {acme.slug}"})
    mine, others = gates(2), gates(2)
    taken: list[Place] = []

    def perform(claimed: Claimed, call: Call, key: str) -> Outcome:
        taken.extend(all_of(others))  # while the tool works, others take every place
        return perform_call(claimed, call, key)

    executor, command = begin(acme, model_url, mine, perform)
    executor.carry_on(command)

    parked = acme.run(run.id)
    assert (parked.status, parked.waiting_for, parked.worker) == ("waiting", "provider", None)
    assert acme.actions(run.id)[-2:] == ["tool.finished", "run.waiting"]
    for place in taken:
        place.leave()
    with serving(model_url, mine):
        assert settles(acme, run.id).status == "completed"
    assert LEDGER.effects[f"lookup a {acme.slug}"] == 1


def test_a_new_run_is_not_begun_before_there_is_a_place(
    acme: World, model_url: str, settles: Settles, gates: Callable[..., Gate]
) -> None:
    acme.define("payer", role="You pay.", tool_specs={"pay": PAY})
    waiting = acme.submit("payer", {"to": acme.slug})
    with serving(model_url):
        settles(acme, waiting.id)
    looker(acme)
    gate = gates(2)
    taken = all_of(gates(2))
    with serving(model_url, gate):
        fresh = acme.submit("looker", {"a": "a", "b": acme.slug})
        approve(acme, waiting)
        while "tool.finished" not in acme.actions(waiting.id):  # that needs no model
            pass
        assert acme.run(fresh.id).status == "queued"
        for place in taken:
            place.leave()
        assert settles(acme, fresh.id).status == "completed"
        assert settles(acme, waiting.id).status == "completed"


def approve(acme: World, run: Run) -> None:
    """Approve what the run asks."""
    with tenant_scope(acme.tenant_id):
        escalation = Escalation.objects.get(run_id=run.id)
    acme.grant("review", acme.agent("payer"), acme.rita)
    decide(escalation.id, Answer("approve", escalation.digest), acting_as=acme.rita)


def test_runs_wait_for_the_tokens_of_a_minute(
    acme: World, model_url: str, settles: Settles, gates: Callable[..., Gate]
) -> None:
    looker(acme)
    with serving(model_url, gates(tokens=4000, window_s=1.0)):
        runs = [acme.submit("looker", {"a": f"{number}", "b": acme.slug}) for number in range(3)]
        assert all(settles(acme, run.id).status == "completed" for run in runs)
    assert any("run.waiting" in acme.actions(run.id) for run in runs)
    assert sum(ModelCall.objects.values_list("tokens", flat=True)) <= 4000


def test_what_was_begun_goes_before_what_came_later(acme: World, gates: Callable[..., Gate], model_url: str) -> None:
    looker(acme)
    begun, _ = (acme.submit("looker", {"a": f"{number}", "b": acme.slug}) for number in range(2))
    taken = all_of(gates(1))
    executor, command = begin(acme, model_url, gates(1), perform_call)
    assert taken
    assert executor.run.id == begun.id
    assert isinstance(command, Park)
    with tenant_scope(acme.tenant_id):
        Run.objects.filter(id=begun.id).update(due_at=Now())
    leases.sweep_and_next()

    executor, _ = begin(acme, model_url, gates(1), perform_call)

    assert executor.run.id == begun.id


def begin(
    acme: World, model_url: str, gate: Gate, perform: Callable[[Claimed, Call, str], Outcome]
) -> tuple[RunExecutor, Command]:
    """Claim the tenant's next run as a worker of the test's own, and commit its first intent."""
    answer = ClaudeProvider("rehearsal", model_url).answer
    means = Means(answer, perform, None, lambda: False, gate)  # type: ignore[arg-type]
    with claims.claim("test", after=UUID(int=acme.tenant_id.int - 1)) as claimed:
        assert claimed is not None
        step, run = claimed
        assert run.tenant_id == acme.tenant_id
        executor = RunExecutor(run, means)
        return executor, executor.begin(step)

"""Runs that ask, without a model: the engine's own executor with answers handed in."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from agents.core.model import ModelAnswer, ModelRequest, Usage
from agents.engine import claims
from agents.engine.executor import Means, RunExecutor
from agents.engine.toolbox import perform_call
from agents.models import Run
from db.scope import tenant_scope
from escalations.models import Escalation
from tests.worlds import PAY, World, world

Json = object


def answers(*contents: tuple[str, list[dict[str, Any]]]) -> Callable[..., ModelAnswer]:
    """A model that says these things one after the other."""
    left = list(contents)

    def answer(request: ModelRequest, *, timeout_s: float) -> ModelAnswer:
        stop, content = left.pop(0)
        return ModelAnswer(request.model, stop, content, Usage(10, 5))  # type: ignore[arg-type]

    return answer


def drive(run: Run, answer: Callable[..., ModelAnswer]) -> None:
    """Claim that run and drive it until it parks or ends."""
    means = Means(answer, perform_call, tools=None, stopping=lambda: False)  # type: ignore[arg-type]
    with claims.claim("test", after=UUID(int=run.tenant_id.int - 1)) as claimed:
        assert claimed is not None
        assert claimed[1].id == run.id
        executor = RunExecutor(claimed[1], means)
        command = executor.begin(claimed[0])
    executor.carry_on(command)


@pytest.fixture
def acme(database: None) -> World:
    """A fresh tenant with an agent that pays, and Rita to review it."""
    made = world()
    made.define("payer", role="You pay.", tool_specs={"pay": PAY})
    made.grant("review", made.agent("payer"), made.rita)
    return made


@pytest.fixture
def asking(acme: World) -> Run:
    """A run that waits for the approval of a payment."""
    run = acme.submit("payer", {"to": acme.slug})
    pay = {"type": "tool_use", "id": "toolu_1", "name": "pay", "input": {"amount": 5, "to": acme.slug}}
    drive(run, answers(("tool_use", [pay])))
    return acme.run(run.id)


@pytest.fixture
def question(acme: World, asking: Run) -> Escalation:
    """What that run asks."""
    with tenant_scope(acme.tenant_id):
        return Escalation.objects.get(run_id=asking.id)

"""Runs that get nowhere, taken up by a worker of the test's own, and the question that is asked about them."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.conf import settings
from django.db.models.functions import Now

from agents.core.decide import Command
from agents.engine import claims, executor, leases
from agents.engine.executor import Means, RunExecutor
from agents.engine.toolbox import perform_call
from agents.models import Run
from agents.providers.claude import ClaudeProvider
from db.scope import tenant_scope
from escalations.actions.decisions import Answer, decide
from escalations.models import Escalation
from quotas.models import Window
from tests.worlds import LOOKUP, World

TRIES = 2

BOOK: Any = {
    **LOOKUP,
    "effect": "write",
    "idempotent": True,
    "compensate_with": {"tool": "unbook", "arguments": {"key": "'un' + result.key"}},
}
UNBOOK: Any = {**LOOKUP, "effect": "write"}


@pytest.fixture(autouse=True)
def few_tries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "RUN_TRIES", TRIES)


@pytest.fixture
def means(model_url: str) -> Means:
    """What an executor of the test's own performs with."""
    answer = ClaudeProvider("rehearsal", model_url).answer
    return Means(answer, perform_call, tools=None, stopping=lambda: False)  # type: ignore[arg-type]


def claim(means: Means, run: Run) -> tuple[RunExecutor, Command]:
    """Take that run up as a worker of the test's own, and commit what it begins with."""
    with tenant_scope(run.tenant_id):
        Run.objects.filter(id=run.id).update(ready_at=Now())
    with claims.claim("test", after=UUID(int=run.tenant_id.int - 1)) as claimed:
        assert claimed is not None
        step, mine = claimed
        assert mine.id == run.id
        executor = RunExecutor(mine, means)
        command = executor.begin(step)
    return executor, command


def die(means: Means, run: Run, times: int = TRIES) -> None:
    """Let so many workers in a row take the run up and die."""
    for _ in range(times):
        claim(means, run)


def due(acme: World, run: Run) -> None:
    """Let the run's lease, or its pause, be over."""
    with tenant_scope(acme.tenant_id):
        Run.objects.filter(id=run.id).update(due_at=Now() - timedelta(seconds=1))


def looking(acme: World, **more: Any) -> Run:
    acme.define("looker", role="You look up twice.", tool_specs={"lookup": LOOKUP}, **more)
    return acme.submit("looker", {"a": f"a {acme.slug}", "b": f"b {acme.slug}"})


def with_deadline(acme: World) -> Run:
    """A run that is to be over within the hour."""
    acme.define("looker", role="You look up twice.", tool_specs={"lookup": LOOKUP})
    return acme.submit("looker", {"a": f"a {acme.slug}", "b": "b"}, deadline=datetime.now(UTC) + timedelta(hours=1))


@pytest.fixture
def hours_pass(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Let two hours pass, for whoever drives runs."""
    now = leases.Claimed.now

    def pass_on() -> None:
        monkeypatch.setattr(leases.Claimed, "now", lambda mine: now(mine) + timedelta(hours=2))

    return pass_on


def question(acme: World, run: Run) -> Escalation:
    with tenant_scope(acme.tenant_id):
        return Escalation.objects.get(run_id=run.id, reason="worker_died")


def answer(acme: World, run: Run, decision: str) -> None:
    acme.grant("review", acme.agent("looker"), acme.rita)
    asked = question(acme, run)
    decide(asked.id, Answer(decision, asked.digest, reason="so", message="so"), acting_as=acme.rita)


def held(acme: World) -> int:
    with tenant_scope(acme.tenant_id):
        return sum(window.reserved_usd_nano for window in Window.objects.all())


class Death(BaseException):
    """No handler is to see it: nothing is left to run one."""


def kill(*_: Any) -> None:
    raise Death


def dies_in_the_claim(means: Means, run: Run) -> None:
    with pytest.raises(Death):
        claim(means, run)


def dies_in_the_fold(means: Means, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a worker take the run up and die while it folds; as the database sees that, its session ends."""

    def die(*_: Any) -> None:
        with tenant_scope(run.tenant_id):
            raise Death(Run.objects.get(id=run.id).tries)

    with monkeypatch.context() as patched:
        patched.setattr(executor, "fold_all", die)
        with pytest.raises(Death) as died:
            claim(means, run)
    assert died.value.args == (run.tries + 1,)

"""The runs whose journals are recorded: real ones, on a real database, with a scripted model. One function a run.

Together they have every type of event. A scene is never taken away as long as its events can happen.
"""

import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch
from uuid import UUID, uuid4

from django.db.models.functions import Now

from agents.actions import again, budgets, guidance
from agents.actions.runs import cancel
from agents.engine import claims
from agents.engine.executor import Means, RunExecutor
from agents.engine.leases import Claimed
from agents.engine.toolbox import perform_call
from agents.models import Run
from agents.providers.claude import ClaudeProvider
from agents.tools.python import tool
from db.scope import tenant_scope
from escalations.actions import answers, queues
from escalations.actions.decisions import Answer, decide
from escalations.models import Escalation
from tenants.models import Role
from tests.agents.engine.serving import serving
from tests.worlds import LOOKUP, PAY, VERDICT, World, world

Json = Any

SCRIPTS: Final = Path(__file__).parent / "scripts"

#: Generous bound on how long a run may take to get where a scene wants it.
PATIENCE_S: Final = 60.0

PARALLEL: Final = "You look two keys up at once."
DELEGATING: Final = "You leave it to another."
PAYING: Final = "You pay what was agreed."
FAIL: Final[Json] = LOOKUP | {"python": {"function": "test_fail"}}
UNSURE: Final[Json] = PAY | {"python": {"function": "recorded_doubt"}, "effect": "write"}
BOOK: Final[Json] = LOOKUP | {
    "effect": "write",
    "compensate_with": {"tool": "cancel", "arguments": {"key": "result.key"}},
}
CANCEL: Final[Json] = LOOKUP | {"effect": "write", "idempotent": True}


@tool("recorded_doubt")
def doubt(amount: int, to: str) -> Json:
    """Break where nobody can say whether the payment was made."""
    raise ConnectionResetError("The bank hung up.")


class Stage:
    """A tenant, its model, and drivers while something is waited for."""

    def __init__(self, model_url: str) -> None:
        self.model_url = model_url
        self.world: World = world()

    def drive(self, run: Run) -> Run:
        """Let drivers work until the run is parked for a person or ended."""
        return self._drive(run, lambda found: found.waiting_for == "decision" and found.ready_at is None)

    def end(self, run: Run) -> Run:
        """Let drivers work until the run has ended."""
        return self._drive(run, lambda found: False)

    def _drive(self, run: Run, enough: Callable[[Run], bool]) -> Run:
        with serving(self.model_url):
            until = time.monotonic() + PATIENCE_S
            while time.monotonic() < until:
                found = self.world.run(run.id)
                if found.ended_at or enough(found):
                    return found
                time.sleep(0.02)
        raise AssertionError(f"the run did not settle: {self.world.actions(run.id)}")

    def is_due(self, run: Run) -> None:
        """Let its timer or its lease run out."""
        with tenant_scope(self.world.tenant_id):
            Run.objects.filter(id=run.id).update(due_at=Now() - timedelta(seconds=1))

    def answer(self, run: Run, decision: str, **more: Json) -> None:
        """Have an owner answer what the run asks."""
        with tenant_scope(self.world.tenant_id):
            question = Escalation.objects.get(run_id=run.id, status="open")
        reviewer = self.world.member(f"reviewer-{uuid4().hex[:6]}", Role.OWNER)
        decide(question.id, Answer(decision, question.digest, **more), acting_as=reviewer)


def parallel(stage: Stage) -> Run:
    """Two reads at once, then an answer by schema."""
    stage.world.define("looker", role=PARALLEL, tool_specs={"lookup": LOOKUP}, output_schema=VERDICT)
    return stage.end(stage.world.submit("looker", {"of": "parallel", "n": 1.0}))


def payment(stage: Stage) -> Run:
    """A payment that waits for a person, and goes on waiting."""
    stage.world.define("payer", role=PAYING, tool_specs={"pay": PAY})
    return stage.drive(stage.world.submit("payer", {"to": "ada"}, budget_usd="0.40", metadata={"case": "7"}))


def approved(stage: Stage) -> Run:
    """A payment that a person approves."""
    run = payment(stage)
    stage.answer(run, "approve", reason="It was agreed.")
    return stage.end(run)


def rejected(stage: Stage) -> Run:
    """A payment that a person refuses."""
    run = payment(stage)
    stage.answer(run, "reject", reason="It was not agreed.")
    return stage.end(run)


def expired(stage: Stage) -> Run:
    """A payment that nobody looks at in time; the time passes for the drivers alone."""
    soon = PAY | {"approval": {"when": "true", "expires_s": 60}}
    stage.world.define("payer", role=PAYING, tool_specs={"pay": soon})
    run = stage.drive(stage.world.submit("payer", {"to": "ada"}))
    now = Claimed.now
    with patch.object(Claimed, "now", lambda mine: now(mine) + timedelta(minutes=2)):
        stage.is_due(run)
        return stage.end(run)


def cancelled(stage: Stage) -> Run:
    """A payment whose run is ended while it waits."""
    run = payment(stage)
    cancel(run.id, acting_as=stage.world.alice)
    return stage.end(run)


def extended(stage: Stage) -> Run:
    """A budget without room for the run, which a person extends."""
    stage.world.define("looker", role=PARALLEL, tool_specs={"lookup": LOOKUP}, output_schema=VERDICT)
    with tenant_scope(stage.world.tenant_id):
        spec = {"of": {"agent": "looker"}, "window": "day", "usd": "0.10"}
        budgets.put("small", spec, acting_as=stage.world.alice)
    run = stage.drive(stage.world.submit("looker", {"of": "parallel", "n": 1.0}))
    stage.answer(run, "approve")
    return stage.end(run)


def asked(stage: Stage) -> Run:
    """A model that asks a person."""
    stage.world.define("asker", role="You ask before you answer.", more_tools=["escalate_to_human"])
    run = stage.drive(stage.world.submit("asker", {"of": "asked"}))
    stage.answer(run, "respond", message="The second.")
    return stage.end(run)


def mistakes(stage: Stage) -> Run:
    """Unknown tools, wrong arguments, a tool that fails, an overloaded provider, answers that are sent back."""
    tools = {"lookup": LOOKUP, "fail": FAIL}
    stage.world.define("clumsy", role="You make mistakes.", tool_specs=tools, output_schema=VERDICT)
    return stage.end(stage.world.submit("clumsy", {"of": "mistakes"}))


def unknown(stage: Stage) -> Run:
    """A write of which nobody knows what it did, until a person does."""
    stage.world.define("payer", role=PAYING, tool_specs={"pay": UNSURE})
    run = stage.drive(stage.world.submit("payer", {"to": "ada"}))
    stage.answer(run, "approve", output={"paid": 500})
    return stage.end(run)


def undone(stage: Stage) -> Run:
    """A run that fails, and undoes what it booked."""
    stage.world.define(
        "booker",
        role="You book and give up.",
        tool_specs={"cancel": CANCEL, "book": BOOK},
        output_schema=VERDICT,
        rules=[{"id": "sure", "assert": "output.confidence > 0.5", "message": "Be sure.", "on_fail": "reject"}],
    )
    return stage.end(stage.world.submit("booker", {"of": "undone"}))


def died(stage: Stage) -> Run:
    """A worker that dies in a model call, and another that finishes."""
    stage.world.define("looker", role=PARALLEL, tool_specs={"lookup": LOOKUP})
    run = stage.world.submit("looker", {"of": "died"})
    means = Means(ClaudeProvider("rehearsal", stage.model_url).answer, perform_call, None, lambda: False)  # type: ignore[arg-type]
    with claims.claim("dying", after=UUID(int=run.tenant_id.int - 1)) as claimed:
        assert claimed is not None
        step, mine = claimed
        assert mine.id == run.id
        RunExecutor(mine, means).begin(step)
    stage.is_due(run)
    return stage.end(run)


def delegated(stage: Stage) -> Run:
    """A call of an agent, whose run looks something up."""
    stage.world.define("looker", role=PARALLEL, tool_specs={"lookup": LOOKUP}, output_schema=VERDICT)
    ask = {"description": "Ask the looker.", "type": "agent", "agent": {"name": "looker", "mode": "call"}}
    stage.world.define("asker", role=DELEGATING, tool_specs={"ask": ask})
    return stage.end(stage.world.submit("asker", {"of": "delegated"}))


def hesitant(stage: Stage) -> Run:
    """A payment whose approval is taken back, then given again; the run is told something meanwhile."""
    stage.world.define("payer", role=PAYING, tool_specs={"pay": PAY}, review={"queue": "desk"})
    queues.put("desk", {"undo_s": 600}, acting_as=stage.world.alice)
    run = stage.drive(stage.world.submit("payer", {"to": "ada"}))
    guidance.guide(run.id, "Ada moved house.", acting_as=stage.world.alice)
    reviewer = stage.world.member("olga", Role.OWNER)
    with tenant_scope(stage.world.tenant_id):
        question = Escalation.objects.get(run_id=run.id)
    decide(question.id, Answer("approve", question.digest), acting_as=reviewer)
    answers.undo(question.id, acting_as=reviewer)
    decide(question.id, Answer("approve", question.digest), acting_as=reviewer)
    with tenant_scope(stage.world.tenant_id):
        Escalation.objects.filter(id=question.id).update(effective_at=Now(), look_at=Now())
    return stage.end(run)


def retried(stage: Stage) -> Run:
    """A run that carries on where another one was ended."""
    old = cancelled(stage)
    return stage.drive(again.retry(old.id, "step", acting_as=stage.world.alice).run)


def reversed_(stage: Stage) -> Run:
    """A run that undoes what another one, which had its output, did."""
    stage.world.define("booker", role="You book and give up.", tool_specs={"cancel": CANCEL, "book": BOOK})
    old = stage.end(stage.world.submit("booker", {"of": "undone"}))
    with tenant_scope(stage.world.tenant_id):
        (made,) = again.reverse(stage.world.run(old.id), by=stage.world.alice)
    return stage.end(made)


SCENES: Final[dict[str, Callable[[Stage], Run]]] = {
    scene.__name__: scene
    for scene in (
        *(parallel, payment, approved, rejected, expired, cancelled, asked, mistakes, unknown, undone, died),
        *(extended, delegated, hesitant, retried, reversed_),
    )
}

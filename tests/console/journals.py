"""Runs whose journals the tests write themselves, event by event, with the statement the engine appends by."""

import time
from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid4

from django.db import connection
from django.utils import timezone

from agents.core import events as core
from agents.core.events import Event, facts_and_payload
from agents.core.money import NANO
from agents.models import Run
from audit import journal
from audit.journal import Entry
from db.scope import tenant_scope
from escalations.models import Escalation
from tests.worlds import World

_APPEND = f"""
WITH source AS (
    UPDATE agents_run SET seq = seq + %(count)s WHERE id = %(run)s RETURNING tenant_id, id AS stream, seq - %(count)s AS seq
), {journal.APPEND} SELECT max(seq) FROM entry
"""  # noqa: S608, E501 - constants only

DIGEST = "0" * 64


def append(world: World, run_id: UUID, *events: Event, actor: str = "engine", **columns: Any) -> int:
    """Append events to a run's journal in one transaction and set columns of its row; return the last number."""
    entries = []
    for event in events:
        facts, payload = facts_and_payload(event)
        entries.append(Entry(event.action, actor, facts, payload, outcome=event.outcome))  # type: ignore[arg-type]
    with tenant_scope(world.tenant_id), connection.cursor() as cursor:
        parameters: dict[str, Any] = {
            "entries": journal.entries_parameter(entries),
            "count": len(entries),
            "run": run_id,
        }
        cursor.execute(_APPEND, parameters)
        last: int = cursor.fetchone()[0]
        if columns:
            Run.objects.filter(id=run_id).update(**columns)
    return last


def begin(world: World, run_id: UUID) -> None:
    """Let a worker take the run up."""
    append(world, run_id, core.RunStarted(epoch=1, at=_now()), status="running", ready_at=None, doing="model, turn 1")


def ask_model(turn: int) -> Event:
    return core.ModelRequested(turn=turn, model="claude-opus-4-7")


def model_answers(turn: int, content: Sequence[Any], stop_reason: str = "tool_use") -> Event:
    return core.ModelAnswered(
        turn=turn,
        model="claude-opus-4-7",
        stop_reason=stop_reason,
        input_tokens=1840,
        output_tokens=212,
        cache_read_input_tokens=950,
        cache_creation_input_tokens=0,
        cost_nano=18_200_000,
        content=list(content),
    )


def call_tool(turn: int, call: int, tool: str, arguments: Any) -> Event:
    return core.ToolRequested(
        turn=turn,
        call=call,
        call_id=f"toolu_{turn}_{call}",
        tool=tool,
        version=1,
        idempotency_key=f"key-{turn}-{call}",
        arguments=arguments,
        digest=DIGEST,
    )


def tool_answers(turn: int, call: int, tool: str, result: Any) -> Event:
    return core.ToolFinished(turn=turn, call=call, call_id=f"toolu_{turn}_{call}", tool=tool, version=1, result=result)


def ask_person(world: World, run_id: UUID, *, turn: int, tool: str, arguments: Any, queue: str | None = None) -> UUID:
    """Park the run for a person to approve a tool call; return the escalation's id."""
    escalation = uuid4()
    event = core.DecisionRequested(
        escalation=str(escalation),
        kind="tool_call",
        reason="approval_required",
        allowed=("approve", "reject", "respond"),
        turn=turn,
        detail="The tool cannot be undone.",
        digest=DIGEST,
        proposal={"tool": tool, "arguments": arguments},
        call=0,
        queue=queue,
    )
    waits = core.RunWaiting(waiting_for="decision", reason="approval_required", at=_now())
    columns = {"status": "waiting", "waiting_for": "decision", "doing": "approval_required"}
    with tenant_scope(world.tenant_id):  # one transaction, as the engine's: a page never sees the one without the other
        last = append(world, run_id, event, waits, **columns)
        run = Run.objects.get(id=run_id)
        Escalation.objects.create(
            id=escalation,
            run_id=run_id,
            agent_id=run.agent_id,
            seq=last - 1,
            kind="tool_call",
            reason="approval_required",
            allowed=["approve", "reject", "respond"],
            digest=DIGEST,
            requester_id=run.principal_id,
            queue=queue,
            requested_at=timezone.now(),
        )
    return escalation


def decide(world: World, run_id: UUID, escalation: UUID, *, by: UUID) -> None:
    """Approve, as the decider; the run goes on."""
    made = core.DecisionMade(
        escalation=str(escalation), kind="tool_call", decision="approve", by=f"user:{by}", digest=DIGEST
    )
    with tenant_scope(world.tenant_id):
        Escalation.objects.filter(id=escalation).update(status="decided", decision="approve")
        append(world, run_id, made, actor=f"user:{by}")
    resumed = core.RunResumed(epoch=2, reason="decided", at=_now())
    append(world, run_id, resumed, status="running", waiting_for=None, doing=None)


def complete(world: World, run_id: UUID, output: Any) -> None:
    """End the run with an output."""
    with tenant_scope(world.tenant_id):
        last = append(world, run_id, core.OutputAccepted(turn=9, output=output), core.RunCompleted(output=output))
        Run.objects.filter(id=run_id).update(
            status="completed", doing=None, output_seq=last, ended_at=timezone.now(), cost_nano=NANO // 20
        )


def refund(world: World, run_id: UUID, *, pause_s: float = 0.0) -> UUID:
    """Play a run that looks things up, has an output sent back, and asks a person; return the escalation's id.

    pause_s: time between events, for pictures.
    """
    looks = {"type": "tool_use", "id": "toolu_1_0", "name": "get_order", "input": {"order_id": "88213"}}
    refunds = {"order_id": "88213", "amount": {"value": "1240.00", "currency": "EUR"}, "reason": "item_damaged"}
    said = {"type": "text", "text": "I look up the order and the customer first."}
    begin(world, run_id)
    for event in (
        core.BudgetReserved(usd_nano=NANO // 2, tokens=200_000, window="2026-11-01"),
        ask_model(1),
        model_answers(1, [said, looks]),
        call_tool(1, 0, "get_order", {"order_id": "88213"}),
        call_tool(1, 1, "get_customer", {"customer_id": "C-7"}),
        tool_answers(1, 0, "get_order", {"order": "88213", "lines": 2}),
        core.ToolFailed(
            turn=1,
            call=1,
            call_id="toolu_1_1",
            tool="get_customer",
            version=1,
            code="timeout",
            error="No answer within 5 s.",
            fallback="get_customer_backup",
        ),
        call_tool(1, 1, "get_customer_backup", {"customer_id": "C-7"}),
        tool_answers(1, 1, "get_customer_backup", {"name": "Maren Vogt", "since": 2019}),
        ask_model(2),
        model_answers(2, [{"type": "text", "text": '{"decision": "refund", "confidence": "0.71"}'}], "end_turn"),
        core.OutputRejected(
            turn=2,
            code="schema",
            errors=[{"pointer": "/confidence", "message": "'0.71' is not of type 'number'"}],
            output={"decision": "refund", "confidence": "0.71"},
        ),
        ask_model(3),
        model_answers(3, [{"type": "tool_use", "id": "toolu_3_0", "name": "refund_payment", "input": refunds}]),
    ):
        append(
            world,
            run_id,
            event,
            model_calls=3,
            tool_calls=3,
            input_tokens=5520,
            output_tokens=636,
            cost_nano=NANO // 20,
        )
        time.sleep(pause_s)
    return ask_person(world, run_id, turn=3, tool="refund_payment", arguments=refunds, queue="finance")


def _now() -> str:
    return timezone.now().isoformat()

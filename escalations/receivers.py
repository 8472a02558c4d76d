"""What the inbox does when a run asks or ends: inside the run's own step, on its connection."""

from typing import Any, Final

from agents.core.events import DecisionExpired, DecisionRequested
from agents.core.spec import AgentSpec
from agents.engine.leases import Claimed
from agents.presenters import proposal_json
from db.pool import Connection
from escalations.due import REMIND_AFTER
from escalations.risk import risk_of, urgency

_OPEN: Final = """
INSERT INTO escalations_escalation (id, tenant_id, run_id, agent_id, seq, kind, status, reason, rule, allowed, digest,
    requester_id, excluded, required, queue, risk, urgency, requested_at, expires_at, due_at, look_at)
SELECT %(id)s, %(tenant)s, %(run)s, %(agent)s, %(seq)s, %(kind)s, 'open', %(reason)s, %(rule)s, %(allowed)s,
    %(digest)s, %(requester)s, %(excluded)s::uuid[], %(required)s, %(queue)s::text, %(risk)s,
    %(urgency)s - floor(extract(epoch FROM now()))::bigint, now(), %(expires_at)s::timestamptz,
    now() + make_interval(secs => due.s), now() + make_interval(secs => due.s * %(remind)s)
FROM (SELECT coalesce(
    %(due_s)s::integer,
    (SELECT due_s FROM escalations_queue WHERE tenant_id = %(tenant)s AND slug = %(queue)s::text)) AS s) AS due
"""

_EXPIRE: Final = """
UPDATE escalations_escalation SET status = 'expired', look_at = NULL
WHERE tenant_id = %s AND id = %s AND status = 'open'
"""

#: Also what is answered and has not taken effect. An appeal is about a run that has ended.
_WITHDRAW: Final = """
UPDATE escalations_escalation SET status = 'withdrawn', answer_seq = NULL, look_at = NULL
WHERE tenant_id = %s AND run_id = %s AND kind <> 'appeal' AND (status = 'open' OR answer_seq IS NOT NULL)
"""


def open_escalation(*, connection: Connection, run: Claimed, event: DecisionRequested, seq: int, **_: Any) -> None:
    """Put the run's question into the inbox."""
    risk = risk_of(
        kind=event.kind,
        reason=event.reason,
        required=event.required,
        effect=_effect(run, event),
        proposal=proposal_json(event.proposal),
    )
    parameters = {
        "id": event.escalation,
        "tenant": run.tenant_id,
        "run": run.id,
        "agent": run.agent_id,
        "seq": seq,
        "kind": event.kind,
        "reason": event.reason,
        "rule": event.rule,
        "allowed": list(event.allowed),
        "digest": event.digest,
        "requester": run.principal_id,
        "excluded": [actor.removeprefix("user:") for actor in event.excluded] if event.excluded else None,
        "required": event.required,
        "queue": event.queue,
        "due_s": event.due_s,
        "expires_at": event.expires_at,
        "risk": risk,
        "urgency": urgency(risk, 0),
        "remind": REMIND_AFTER,
    }
    connection.execute(_OPEN, parameters)


def _effect(run: Claimed, event: DecisionRequested) -> str | None:
    """Return what the tool does that is asked about; None of a worn run, whose version was not read."""
    spec: AgentSpec | None = getattr(run, "spec", None)
    tool = spec.tools.get(str(event.proposal.get("tool"))) if spec is not None else None
    return tool.effect if tool is not None else None


def close_expired(*, connection: Connection, run: Claimed, event: DecisionExpired, **_: Any) -> None:
    """Close the question that nobody answered in time."""
    connection.execute(_EXPIRE, [run.tenant_id, event.escalation])


def withdraw_open(*, connection: Connection, run: Claimed, **_: Any) -> None:
    """Take back what the ended run still asked; its last event is the record of it."""
    connection.execute(_WITHDRAW, [run.tenant_id, run.id])

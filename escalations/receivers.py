"""What the inbox does when a run asks or ends: inside the run's own step, on its connection."""

from typing import Any, Final

from agents.core.events import DecisionExpired, DecisionRequested
from agents.engine.leases import Claimed
from db.pool import Connection

_OPEN: Final = """
INSERT INTO escalations_escalation (id, tenant_id, run_id, agent_id, seq, kind, status, reason, rule, allowed, digest,
    requester_id, excluded, required, queue, requested_at, expires_at, due_at)
VALUES (%(id)s, %(tenant)s, %(run)s, %(agent)s, %(seq)s, %(kind)s, 'open', %(reason)s, %(rule)s, %(allowed)s,
    %(digest)s, %(requester)s, %(excluded)s::uuid[], %(required)s, %(queue)s::text, now(), %(expires_at)s::timestamptz,
    now() + make_interval(secs => coalesce(
        %(due_s)s, (SELECT due_s FROM escalations_queue WHERE tenant_id = %(tenant)s AND slug = %(queue)s::text))))
"""

_EXPIRE: Final = """
UPDATE escalations_escalation SET status = 'expired' WHERE tenant_id = %s AND id = %s AND status = 'open'
"""

_WITHDRAW: Final = """
UPDATE escalations_escalation SET status = 'withdrawn' WHERE tenant_id = %s AND run_id = %s AND status = 'open'
"""


def open_escalation(*, connection: Connection, run: Claimed, event: DecisionRequested, seq: int, **_: Any) -> None:
    """Put the run's question into the inbox."""
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
    }
    connection.execute(_OPEN, parameters)


def close_expired(*, connection: Connection, run: Claimed, event: DecisionExpired, **_: Any) -> None:
    """Close the question that nobody answered in time."""
    connection.execute(_EXPIRE, [run.tenant_id, event.escalation])


def withdraw_open(*, connection: Connection, run: Claimed, **_: Any) -> None:
    """Take back what the ended run still asked; its last event is the record of it."""
    connection.execute(_WITHDRAW, [run.tenant_id, run.id])

"""The statements that make runs, and that reach from a run to its parent or child. Locks and isolation: see `store`."""

from typing import Final

from access.check import GrantTables, granted_sql
from audit import journal
from db import trip

_AGENT_GRANTS: Final = GrantTables("agents_agentusergrant", "agents_agentteamgrant")


def may_run_sql(*, agents: str, users: str, tenant: str) -> str:
    """Return the query for who of `users` may start runs of `agents` now: (user, agent). All three are SQL."""
    return granted_sql(_AGENT_GRANTS, objects=agents, users=users, tenant=tenant, permission="'run'")


#: Holds the agent until the transaction ends, as the new run's reference does in the end: who stops the agent waits for
#: it (`agents.actions.stopping`). Before `RUNNABLE`, which so sees the agent as it stays.
HOLD_AGENT: Final = trip.statement(
    "hold_agent",
    "SELECT 1 FROM agents_agent WHERE tenant_id = %(tenant)s AND slug = %(slug)s FOR KEY SHARE",
    *("tenant", "slug"),
)

#: What a client asks a run of: the agent, and its live version or the numbered one; how many of `users` may run it.
RUNNABLE: Final = trip.statement(
    "runnable",
    f"""
SELECT a.id, v.id, v.number, (SELECT count(*) FROM ({
        may_run_sql(agents="ARRAY[a.id]", users="%(users)s::uuid[]", tenant="a.tenant_id")
    }) AS holders), {trip.MICROSECONDS}, (a.stopped_at IS NOT NULL)::integer
FROM agents_agent a LEFT JOIN agents_agentversion v ON v.tenant_id = a.tenant_id AND v.agent_id = a.id
    AND CASE WHEN %(number)s::integer IS NULL THEN v.id = a.live_id ELSE v.number = %(number)s::integer END
WHERE a.tenant_id = %(tenant)s AND a.slug = %(slug)s
""",  # noqa: S608 - constants only
    *("tenant", "slug", "number", "users"),
)

#: Whom a new run is about, beside its first record; nothing for most.
_SUBJECTS: Final = """
subject AS (
    INSERT INTO agents_runsubject (tenant_id, digest, run_id, key)
    SELECT source.tenant_id, s.digest, source.stream, s.key
    FROM source, json_to_recordset(%(subjects)s::json) AS s(digest text, key smallint))
"""

QUEUED: Final = (
    *("id", "tenant_id", "agent_id", "version_id", "principal_id", "requested_by_id", "parent_id", "priority"),
    *("deadline", "idempotency_key", "request_digest", "metadata", "engine", "dedupe_key"),
)

#: A new run, of whose columns `QUEUED` are given as JSON, with its first record; nothing when there is one of the same
#: idempotency key. One that another engine dispatches is due to be seen to by that one's sweep.
QUEUE: Final = trip.statement(
    "queue",
    f"""
WITH source AS (
    INSERT INTO agents_run (id, tenant_id, agent_id, version_id, principal_id, requested_by_id, parent_id, priority,
        deadline, idempotency_key, request_digest, metadata, engine, dedupe_key, status, seq, epoch, ready_at, due_at,
        created_at, model_calls, tool_calls, input_tokens, output_tokens, cache_read_input_tokens,
        cache_creation_input_tokens, cost_nano, reserved_usd_nano, reserved_tokens)
    SELECT q.id, q.tenant_id, q.agent_id, q.version_id, q.principal_id, q.requested_by_id, q.parent_id, q.priority,
        q.deadline, q.idempotency_key, q.request_digest, q.metadata, q.engine, q.dedupe_key, 'queued', 1, 0, now(),
        CASE WHEN q.engine IS NOT NULL THEN now() END, now(), 0, 0, 0, 0, 0, 0, 0, 0, 0
    FROM json_to_record(%(run)s::json) AS q(id uuid, tenant_id uuid, agent_id uuid, version_id uuid, principal_id uuid,
        requested_by_id uuid, parent_id uuid, priority smallint, deadline timestamptz, idempotency_key text,
        request_digest text, metadata jsonb, engine text, dedupe_key text)
    ON CONFLICT (tenant_id, requested_by_id, idempotency_key) WHERE idempotency_key IS NOT NULL DO NOTHING
    RETURNING tenant_id, id AS stream, 0 AS seq
), {_SUBJECTS}, {journal.APPEND}
SELECT 1 FROM source
""",  # noqa: S608 - constants only
    *("run", "subjects", "entries"),
)

#: A run that a tool call starts, with its first record, beside the call's intent; nothing when its agent has another
#: version for new runs by now, or not everybody may run it any more. It goes before what came after its parent.
START_CHILD: Final = trip.statement(
    "start_child",
    f"""
WITH source AS (
    INSERT INTO agents_run (id, tenant_id, agent_id, version_id, principal_id, requested_by_id, parent_id, priority,
        deadline, metadata, engine, status, seq, epoch, ready_at, due_at, created_at,
        model_calls, tool_calls, input_tokens, output_tokens, cache_read_input_tokens, cache_creation_input_tokens,
        cost_nano, reserved_usd_nano, reserved_tokens)
    SELECT c.id, p.tenant_id, a.id, a.live_id, p.principal_id, p.requested_by_id, p.id, p.priority,
        c.deadline, '{{}}', p.engine, 'queued', 1, 0, p.created_at,
        CASE WHEN p.engine IS NOT NULL THEN now() END, now(), 0, 0, 0, 0, 0, 0, 0, 0, 0
    FROM json_to_record(%(child)s::json) AS c(id uuid, tenant uuid, parent uuid, agent uuid, version uuid,
        deadline timestamptz, users json)
    JOIN agents_run p ON p.tenant_id = c.tenant AND p.id = c.parent
    JOIN agents_agent a ON a.tenant_id = c.tenant AND a.id = c.agent AND a.live_id = c.version AND a.stopped_at IS NULL
    WHERE json_array_length(c.users) = (SELECT count(*) FROM ({
        may_run_sql(
            agents="ARRAY[c.agent]",
            users="ARRAY(SELECT e::uuid FROM json_array_elements_text(c.users) AS e)",
            tenant="c.tenant",
        )
    }) AS holders)
    FOR KEY SHARE OF a
    RETURNING tenant_id, id AS stream, 0 AS seq, engine, priority
), {_SUBJECTS}, {journal.APPEND}
SELECT engine, priority FROM source
""",  # noqa: S608 - constants only
    *("child", "subjects", "entries"),
)

#: A run that undoes what another one did, of the same version, with its first two records, beside its parent's intent.
#: It is about the same persons. Nobody's grant is asked for (docs/adr/0010).
START_REVERSAL: Final = trip.statement(
    "start_reversal",
    f"""
WITH source AS (
    INSERT INTO agents_run (id, tenant_id, agent_id, version_id, principal_id, requested_by_id, parent_id, reverses_id,
        priority, metadata, engine, status, seq, epoch, ready_at, due_at, created_at,
        model_calls, tool_calls, input_tokens, output_tokens, cache_read_input_tokens, cache_creation_input_tokens,
        cost_nano, reserved_usd_nano, reserved_tokens)
    SELECT c.id, p.tenant_id, o.agent_id, o.version_id, p.principal_id, p.requested_by_id, p.id, o.id,
        p.priority, '{{}}', p.engine, 'queued', 2, 0, p.created_at,
        CASE WHEN p.engine IS NOT NULL THEN now() END, now(), 0, 0, 0, 0, 0, 0, 0, 0, 0
    FROM json_to_record(%(child)s::json) AS c(id uuid, tenant uuid, parent uuid, reverses uuid)
    JOIN agents_run p ON p.tenant_id = c.tenant AND p.id = c.parent
    JOIN agents_run o ON o.tenant_id = c.tenant AND o.id = c.reverses
    RETURNING tenant_id, id AS stream, 0 AS seq, engine, priority
), subject AS (
    INSERT INTO agents_runsubject (tenant_id, digest, run_id, key)
    SELECT source.tenant_id, s.digest, source.stream, s.key
    FROM source, json_to_record(%(child)s::json) AS c(reverses uuid), agents_runsubject s
    WHERE s.tenant_id = source.tenant_id AND s.run_id = c.reverses
), {journal.APPEND}
SELECT engine, priority FROM source
""",  # noqa: S608 - constants only
    *("child", "entries"),
)

#: The parent of a run that has ended, whose row this transaction holds: taken up if it waits. It is locked before it is
#: looked at, so that one which is just being parked is seen. Until the parent says otherwise (`HEARD`), and for ever if
#: it has ended, its row does not hold what the child used.
WAKE_PARENT: Final = """
WITH parent AS MATERIALIZED (
    SELECT id, status FROM agents_run WHERE tenant_id = %(tenant)s AND id = %(run)s FOR NO KEY UPDATE),
child AS (UPDATE agents_run SET is_unheard = true WHERE tenant_id = %(tenant)s AND id = %(child)s)
UPDATE agents_run r SET ready_at = CASE WHEN r.engine IS NULL THEN r.created_at ELSE now() END,
    due_at = CASE WHEN r.engine IS NULL THEN r.due_at ELSE now() END
FROM parent WHERE r.tenant_id = %(tenant)s AND r.id = parent.id AND parent.status = 'waiting'
RETURNING r.engine
"""

#: Children that have ended, of which the step that holds their parent's row took in what they used. Nobody who holds
#: the row of one that has ended goes on to its parent's.
HEARD: Final = """
UPDATE agents_run SET is_unheard = NULL WHERE tenant_id = %(tenant)s AND id = ANY(%(runs)s) AND is_unheard
"""

#: Asks a run that has not ended to end, unless it was asked; one that nobody drives is taken up for that.
STOP_CHILD: Final = trip.statement(
    "stop_child",
    f"""
WITH source AS (
    UPDATE agents_run r SET seq = r.seq + 1,
        ready_at = CASE WHEN r.status = 'running' THEN r.ready_at
                        WHEN r.engine IS NULL THEN r.created_at ELSE now() END,
        due_at = CASE WHEN r.status = 'running' OR r.engine IS NULL THEN r.due_at ELSE now() END
    WHERE r.tenant_id = %(tenant)s::uuid AND r.id = %(run)s::uuid AND r.ended_at IS NULL AND NOT EXISTS (
        SELECT FROM audit_record a WHERE a.tenant_id = %(tenant)s::uuid AND a.stream = %(run)s::uuid
        AND a.action = 'run.cancel_requested')
    RETURNING r.tenant_id, r.id AS stream, r.seq - 1 AS seq, r.engine
), {journal.APPEND}
SELECT engine FROM source
""",  # noqa: S608 - constants only
    *("tenant", "run", "entries"),
)

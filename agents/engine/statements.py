"""What is done with runs: claims, steps, leases. SQL on purpose; everything hot in one place, but for `new_runs`.

Fence, locks and isolation: see `store`.
"""

from typing import Final

from access.check import GrantTables, granted_sql, holdings_sql, unproven_sql
from audit import journal
from db import trip
from quotas import reservations

_NOW: Final = trip.MICROSECONDS

#: A claim locks the run's row, and takes it: a lease, and the epoch that fences off whoever had it before.
_TAKE: Final = """
    epoch = r.epoch + 1, tries = least(r.tries + 1, 32000), ready_at = NULL, due_at = now() + %(lease)s::interval,
    worker = %(worker)s
"""

_PICKED: Final = "id, tenant_id, agent_id, version_id, principal_id, parent_id, epoch, tries, seq"

#: A new run is only locked here, on its first try. Its first step takes it, in the same transaction and in the one
#: update that it makes anyway (`_UPDATE`), or `TAKE` does. Of what is told, epoch and tries are those of the claim. It
#: also opens the tenant's scope for what follows in its transaction.
_TAKEN: Final = f"""
taken AS (UPDATE agents_run r SET {_TAKE} FROM picked WHERE r.id = picked.id AND (picked.seq > 1 OR picked.tries > 0))
SELECT id, tenant_id, agent_id, version_id, principal_id, parent_id, epoch + 1, {_NOW},
"""  # noqa: S608 - constants only


def _claim(name: str, condition: str = "") -> trip.Statement:
    ready = f"ready_at IS NOT NULL AND engine IS NULL {condition}"
    return trip.statement(
        name,
        f"""
WITH picked AS MATERIALIZED (
    SELECT {_PICKED} FROM agents_run WHERE id = coalesce(
        (SELECT id FROM agents_run WHERE {ready} AND tenant_id > %(after)s::uuid
         ORDER BY tenant_id, priority DESC, ready_at LIMIT 1 FOR UPDATE SKIP LOCKED),
        (SELECT id FROM agents_run WHERE {ready} AND tenant_id <= %(after)s::uuid
         ORDER BY tenant_id, priority DESC, ready_at LIMIT 1 FOR UPDATE SKIP LOCKED))
    FOR NO KEY UPDATE),
{_TAKEN}
    (SELECT count(*) > 1 FROM (
        SELECT 1 FROM agents_run WHERE ready_at IS NOT NULL AND engine IS NULL LIMIT 2) AS ready),
    set_config('app.tenant', tenant_id::text, true), least(tries + 1, 32000), seq
FROM picked
""",  # noqa: S608 - constants only
        *("lease", "worker", "after"),
    )


CLAIM: Final = _claim("claim")

#: One that may need something else than a call of the model. It has an index of its own, so that the queue of those
#: that wait for the supplier is not looked through each time.
CLAIM_BEGUN: Final = _claim("claim_begun", "AND status <> 'queued' AND waiting_for IS DISTINCT FROM 'provider'")

#: That run of another engine, if it can be claimed now.
CLAIM_RUN: Final = trip.statement(
    "claim_run",
    f"""
WITH picked AS MATERIALIZED (
    SELECT {_PICKED} FROM agents_run
    WHERE id = %(run)s::uuid AND engine IS NOT NULL AND (ready_at IS NOT NULL OR due_at <= now())
    FOR NO KEY UPDATE),
{_TAKEN}
    false, set_config('app.tenant', tenant_id::text, true), least(tries + 1, 32000), seq
FROM picked
""",  # noqa: S608 - constants only
    *("lease", "worker", "run"),
)

#: Takes a new run whose claim is committed before its first step. Its status stays: none runs ahead of its record.
TAKE: Final = trip.statement(
    "take",
    f"UPDATE agents_run r SET {_TAKE} WHERE r.tenant_id = %(tenant)s::uuid AND r.id = %(run)s::uuid",  # noqa: S608
    *("lease", "worker", "tenant", "run"),
)

#: Locks the row of a run, for its first step; tells its last number, or nothing when the run is another's by now.
LOCK: Final = trip.statement(
    "lock",
    "SELECT seq FROM agents_run WHERE tenant_id = %(tenant)s::uuid AND id = %(run)s::uuid"
    " AND epoch = %(epoch)s::integer FOR UPDATE",
    *("tenant", "run", "epoch"),
)

HISTORY: Final = trip.statement("history", journal.READ, *journal.READ_PARAMETERS)

#: Of a parent, its parent and so on, nearest first: whom it acts for, its agent, and whether it has ended. The first
#: two never change: a run keeps its parent for life.
LOAD_LINE: Final = """
WITH RECURSIVE line AS (
    SELECT parent_id, principal_id, agent_id, ended_at, 1 AS place FROM agents_run
    WHERE tenant_id = %(tenant)s AND id = %(parent)s
    UNION ALL
    SELECT r.parent_id, r.principal_id, r.agent_id, r.ended_at, place + 1 FROM line
    JOIN agents_run r ON r.tenant_id = %(tenant)s AND r.id = line.parent_id)
SELECT principal_id, agent_id, ended_at IS NOT NULL FROM line ORDER BY place
"""
LOAD_VERSION: Final = "SELECT compiled::text FROM agents_agentversion WHERE tenant_id = %s AND id = %s"

_COLUMNS: Final = """
        tenant uuid, run uuid, epoch integer, seq integer, count integer, status text, waiting_for text, doing text,
        release boolean, until timestamptz, lease interval, ended boolean, error_code text, model_calls integer,
        tool_calls integer, input_tokens bigint, output_tokens bigint, cache_read bigint, cache_creation bigint,
        cost_nano bigint, reserved_usd bigint, reserved_tokens bigint, reserved_window date, principals json,
        tools json, proofs json, policies integer, tries smallint, taker text,
        hold_usd bigint, hold_tokens bigint, spent_usd bigint, spent_tokens bigint, window_on date, windows json,
        agent uuid, for_user uuid"""

_GIVEN: Final = f"""
given AS MATERIALIZED (SELECT * FROM json_to_record(%(step)s::json) AS g({_COLUMNS}))
"""  # noqa: S608 - constants only

#: taker: who takes the run with this step, which is in the transaction of the claim that has locked its row.
_UPDATE: Final = """
    UPDATE agents_run r SET
        epoch = g.epoch, seq = r.seq + g.count,
        status = g.status, waiting_for = g.waiting_for, doing = g.doing, ready_at = NULL,
        due_at = CASE WHEN g.release THEN g.until
                      WHEN g.taker IS NULL AND r.due_at > now() + g.lease / 2 THEN r.due_at
                      ELSE now() + g.lease END,
        worker = CASE WHEN g.release THEN NULL ELSE coalesce(g.taker, r.worker) END, tries = coalesce(g.tries, 0),
        ended_at = CASE WHEN g.ended THEN now() END,
        output_seq = CASE WHEN g.ended THEN r.seq + g.count END, error_code = g.error_code,
        model_calls = g.model_calls, tool_calls = g.tool_calls, input_tokens = g.input_tokens,
        output_tokens = g.output_tokens, cache_read_input_tokens = g.cache_read,
        cache_creation_input_tokens = g.cache_creation, cost_nano = g.cost_nano,
        reserved_usd_nano = g.reserved_usd, reserved_tokens = g.reserved_tokens, reserved_window = g.reserved_window
    FROM given g
    WHERE r.tenant_id = g.tenant AND r.id = g.run AND r.seq = g.seq
    AND r.epoch = CASE WHEN g.taker IS NULL THEN g.epoch ELSE g.epoch - 1 END
    AND (g.policies IS NULL
         OR g.policies = coalesce((SELECT s.version FROM agents_policyset s WHERE s.tenant_id = g.tenant), 0))
"""

_RETURNING: Final = "RETURNING r.tenant_id, r.id AS stream, r.seq - g.count AS seq"

#: The step: fence, summary, records, payloads and outbox. All values but the entries come as one JSON parameter: one
#: text with one set of parameter types is prepared once on each connection, whatever the values.
_STEP: Final = f"""
WITH {_GIVEN}, source AS ({_UPDATE} {_RETURNING}), {journal.APPEND}
SELECT {_NOW} FROM source
"""  # noqa: S608 - constants only

#: The scope of a tenant whose steps stand in line behind this transaction: it waits for no lock longer than this.
SCOPE_IN_LINE: Final = trip.statement(
    "scope_in_line",
    "SELECT set_config('app.tenant', %(tenant)s, true), set_config('lock_timeout', '100ms', true)",
    "tenant",
)

_GRANTS: Final = GrantTables("agents_toolusergrant", "agents_toolteamgrant", conditional=True)

#: The same on the condition that every principal may use every one of `tools` at this moment, whatever the arguments.
_STEP_IF_GRANTED: Final = f"""
WITH {_GIVEN}, granted AS MATERIALIZED ({
    granted_sql(
        _GRANTS,
        objects="(SELECT array_agg(t::uuid) FROM given, json_array_elements_text(given.tools) AS t)",
        users="(SELECT array_agg(p::uuid) FROM given, json_array_elements_text(given.principals) AS p)",
        tenant="(SELECT tenant FROM given)",
        permission="'use'",
    )
}), source AS ({_UPDATE}
    AND (SELECT count(*) FROM granted) = json_array_length(g.tools) * json_array_length(g.principals) {_RETURNING}
), {journal.APPEND}
SELECT {_NOW} FROM source
"""  # noqa: S608 - constants only

#: Steps of several runs of one tenant, each fenced by itself: those are written that can be, and told by number.
#: With each come its entries, and how many entries of the others go before.
_STEPS_GIVEN: Final = f"""
given AS MATERIALIZED (
    SELECT * FROM json_to_recordset(%(steps)s::json) AS g({_COLUMNS},
        member integer, entries json, entries_before integer))
"""  # noqa: S608 - constants only
_STEPS_APPEND: Final = journal.append_sql(entries="source.entries", first="source.entries_before")

_STEPS_RETURNING: Final = f"""
    {_RETURNING}, g.member, g.entries, g.entries_before,
    g.window_on, g.hold_usd, g.hold_tokens, g.spent_usd, g.spent_tokens
"""

#: What is granted to anybody of what any of the steps asks, and the condition of `_STEP_IF_GRANTED` for each of them.
_STEPS_GRANTED: Final = f"""
granted (holder, tool) AS MATERIALIZED ({
    granted_sql(
        _GRANTS,
        objects="(SELECT array_agg(DISTINCT t::uuid) FROM given, json_array_elements_text(given.tools) AS t)",
        users="(SELECT array_agg(DISTINCT p::uuid) FROM given, json_array_elements_text(given.principals) AS p)",
        tenant="(SELECT tenant FROM given LIMIT 1)",
        permission="'use'",
    )
})"""  # noqa: S608 - constants only
_IF_GRANTED: Final = """
    AND NOT EXISTS (
        SELECT FROM json_array_elements_text(g.principals) AS p, json_array_elements_text(g.tools) AS t
        WHERE NOT EXISTS (SELECT FROM granted WHERE holder = p::uuid AND tool = t::uuid))
"""


def _steps(name: str, *, granted: bool, settle: bool) -> trip.Statement:
    """Return the statement of several steps. Yields of each that was written its number, the time, and what a run's
    last step says of soft limits. granted, settle: whether one of them needs grants, or settles.
    """
    before = f"{_STEPS_GIVEN}{f', {_STEPS_GRANTED}' if granted else ''}"
    budget = f", {reservations.settlements_sql(source='source')}" if settle else ""
    soft = "(SELECT b.soft_spent FROM budget b WHERE b.window_on = source.window_on)" if settle else "NULL"
    return trip.statement(
        name,
        f"""
WITH {before}, source AS ({_UPDATE} {_IF_GRANTED if granted else ""} {_STEPS_RETURNING}), {_STEPS_APPEND}{budget}
SELECT member, {_NOW}, {soft} FROM source
""",  # noqa: S608 - constants only
        "steps",
    )


#: The same on the condition that what was found by `HOLDINGS` still stands, down to the conditions' words.
_STEP_IF_PROVEN: Final = f"""
WITH {_GIVEN}, proof AS MATERIALIZED (
    SELECT p.* FROM given, json_to_recordset(given.proofs) AS p(
        holder uuid, object uuid, by_grant uuid, condition text, principal jsonb)
), source AS ({_UPDATE} AND NOT ({
    unproven_sql(_GRANTS, proofs="proof", tenant="(SELECT tenant FROM given)", permission="'use'")
}) {_RETURNING}), {journal.APPEND}
SELECT {_NOW} FROM source
"""  # noqa: S608 - constants only

#: Whether the step `c` is the run's next one, and its worker the one that has the run: nothing is reserved for others.
_IS_NEXT: Final = """EXISTS (
    SELECT FROM agents_run n WHERE n.tenant_id = c.tenant AND n.id = c.run AND n.seq = c.seq
    AND n.epoch = CASE WHEN c.taker IS NULL THEN c.epoch ELSE c.epoch - 1 END)"""

#: The same on the condition that the tenant's month has room for what the run reserves, and no other budget counts. The
#: caller holds the run's row.
_STEP_IF_RESERVED: Final = f"""
WITH {_GIVEN}, {reservations.change_sql(given="given", alone=True, when=_IS_NEXT)},
source AS ({_UPDATE} AND EXISTS (SELECT FROM budget) {_RETURNING}), {journal.APPEND}
SELECT {_NOW} FROM source
"""  # noqa: S608 - constants only

#: The same on the condition that all the windows that count have room for it.
_STEP_IF_ALL_RESERVED: Final = f"""
WITH {_GIVEN}, {reservations.changes_sql(given="given")},
source AS ({_UPDATE} AND EXISTS (SELECT FROM budget) {_RETURNING}), {journal.APPEND}
SELECT {_NOW} FROM source
"""  # noqa: S608 - constants only

#: The run's last step, which settles; says beside the time whether a soft limit is spent and nobody was told.
_STEP_AND_SETTLE: Final = f"""
WITH {_GIVEN}, source AS ({_UPDATE} {_RETURNING}), {journal.APPEND},
{reservations.change_sql(given="given", source="source")}
SELECT {_NOW}, (SELECT bool_or(soft_spent) FROM budget) FROM source
"""  # noqa: S608 - constants only
_STEP_AND_SETTLE_ALL: Final = f"""
WITH {_GIVEN}, source AS ({_UPDATE} {_RETURNING}), {journal.APPEND},
{reservations.changes_sql(given="given", source="source")}
SELECT {_NOW}, (SELECT bool_or(soft_spent) FROM budget) FROM source
"""  # noqa: S608 - constants only

STEP: Final = trip.statement("step", _STEP, "step", "entries")
STEP_IF_GRANTED: Final = trip.statement("step_if_granted", _STEP_IF_GRANTED, "step", "entries")

#: By whether one of them needs grants, and whether one of them settles.
STEPS: Final = {
    (False, False): _steps("steps", granted=False, settle=False),
    (True, False): _steps("steps_if_granted", granted=True, settle=False),
    (False, True): _steps("steps_and_settle", granted=False, settle=True),
    (True, True): _steps("steps_if_granted_and_settle", granted=True, settle=True),
}
STEP_IF_PROVEN: Final = trip.statement("step_if_proven", _STEP_IF_PROVEN, "step", "entries")
STEP_IF_RESERVED: Final = trip.statement("step_if_reserved", _STEP_IF_RESERVED, "step", "entries")
STEP_IF_ALL_RESERVED: Final = trip.statement("step_if_all_reserved", _STEP_IF_ALL_RESERVED, "step", "entries")
STEP_AND_SETTLE: Final = trip.statement("step_and_settle", _STEP_AND_SETTLE, "step", "entries")
STEP_AND_SETTLE_ALL: Final = trip.statement("step_and_settle_all", _STEP_AND_SETTLE_ALL, "step", "entries")

WHERE_IT_IS: Final = "SELECT epoch, seq FROM agents_run WHERE tenant_id = %s AND id = %s"

HOLDINGS: Final = holdings_sql(_GRANTS)

#: Renews the leases that are still the worker's, and tells of each whether it did. It waits for no row: whoever has one
#: locked is most often the run's own step, which renews the lease itself when half of it is gone; and who waits for one
#: row while it holds others stands in the way of steps, which take them in an order of their own.
HEARTBEAT: Final = """
WITH mine AS MATERIALIZED (
    SELECT held.id FROM unnest(%(runs)s::uuid[], %(epochs)s::integer[]) AS mine(id, epoch)
    JOIN agents_run held ON held.id = mine.id AND held.epoch = mine.epoch
    WHERE held.worker IS NOT NULL AND held.ready_at IS NULL
), free AS MATERIALIZED (
    SELECT r.id FROM agents_run r JOIN unnest(%(runs)s::uuid[], %(epochs)s::integer[]) AS m(id, epoch)
    ON r.id = m.id AND r.epoch = m.epoch
    WHERE r.worker IS NOT NULL AND r.ready_at IS NULL FOR NO KEY UPDATE OF r SKIP LOCKED
), renewed AS (
    UPDATE agents_run r SET due_at = now() + %(lease)s FROM free WHERE r.id = free.id RETURNING r.id)
SELECT mine.id, EXISTS (SELECT FROM renewed WHERE renewed.id = mine.id) FROM mine
"""

#: Also of a run whose step was committed after its lease was given back, and of a claimed one before its first step; a
#: parked one stays as it is. Given back once more, as when nobody heard of the first time, a claim comes off the tries
#: once.
RELEASE: Final = """
UPDATE agents_run SET ready_at = created_at, due_at = CASE WHEN engine IS NOT NULL THEN now() END, worker = NULL,
    tries = CASE WHEN worker IS NULL THEN tries ELSE greatest(tries - 1, 0) END
WHERE id = %s AND epoch = %s AND (status = 'running' OR worker IS NOT NULL)
"""

FORGET: Final = "UPDATE agents_run SET due_at = NULL, worker = NULL WHERE tenant_id = %s AND id = %s"

#: by: what is added to the tries, so that a run that was taken up in vain counts once, and one that a later release
#: may take up not at all.
PUT_OFF: Final = """
UPDATE agents_run SET ready_at = NULL, due_at = now() + %(lease)s, worker = NULL,
    tries = greatest(least(tries + %(by)s, 32000), 0)
WHERE id = %(run)s AND epoch = %(epoch)s
"""

#: What the records of a run say without their payloads, up to its last one.
OUTLINE: Final = """
SELECT action, facts::text FROM audit_record
WHERE tenant_id = %(tenant)s AND stream = %(run)s AND id >= %(since)s AND seq <= %(seq)s ORDER BY seq
"""

#: What was begun goes before the runs of its tenant that came later, so that it comes to its end.
SWEEP: Final = """
UPDATE agents_run SET ready_at = CASE status WHEN 'queued' THEN now() ELSE created_at END, due_at = NULL
WHERE id IN (
    SELECT id FROM agents_run WHERE due_at <= now() AND engine IS NULL ORDER BY due_at LIMIT 500
    FOR UPDATE SKIP LOCKED)
"""

NEXT_DUE: Final = """
SELECT extract(epoch FROM min(due_at) - now()) FROM agents_run WHERE due_at IS NOT NULL AND engine IS NULL
"""

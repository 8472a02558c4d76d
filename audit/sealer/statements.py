"""The sealer's SQL. All of it runs as the seal role, in READ COMMITTED, behind the advisory lock of the log."""

from typing import Final

from audit.log import entries

#: First key of the advisory locks of logs; the second is a hash of the tenant's id. Held until the transaction ends.
LOCK: Final = "SELECT pg_try_advisory_xact_lock(1129267201, hashtext(%(tenant)s::text))"

#: Whose records wait. The outbox is short, as what waits for long is put aside: the whole of it is read. Aside, one
#: look into the index for each log that refused.
WAITING: Final = """
WITH RECURSIVE aside AS (
    (SELECT tenant_id FROM audit_outbox_aside ORDER BY tenant_id LIMIT 1)
    UNION ALL
    SELECT (SELECT a.tenant_id FROM audit_outbox_aside a WHERE a.tenant_id > aside.tenant_id
            ORDER BY a.tenant_id LIMIT 1)
    FROM aside WHERE aside.tenant_id IS NOT NULL
)
SELECT tenant_id FROM aside WHERE tenant_id IS NOT NULL UNION SELECT tenant_id FROM audit_outbox
"""

#: Logs with leaves that no checkpoint tells of: whoever was to sign them was interrupted.
UNSIGNED: Final = """
SELECT l.tenant_id FROM audit_log l
CROSS JOIN LATERAL (SELECT index + 1 AS size FROM audit_leaf f WHERE f.tenant_id = l.tenant_id
    AND f.generation = l.generation ORDER BY index DESC LIMIT 1) AS tree
LEFT JOIN LATERAL (SELECT size FROM audit_checkpoint c WHERE c.tenant_id = l.tenant_id
    AND c.generation = l.generation ORDER BY size DESC LIMIT 1) AS signed ON true
WHERE tree.size > coalesce(signed.size, 0)
"""

OPEN_LOG: Final = """
INSERT INTO audit_log (tenant_id, generation, origin) VALUES (%(tenant)s, %(generation)s, %(origin)s)
"""


def _take(table: str) -> str:
    return f"""
WITH taken AS (
    DELETE FROM {table}
    WHERE ctid = ANY (ARRAY(SELECT ctid FROM {table} WHERE tenant_id = %(tenant)s LIMIT %(rows)s))
    RETURNING record_ids
)
SELECT id::text FROM taken, unnest(record_ids) AS id
"""  # noqa: S608 - names of our own


#: Takes rows out of the outbox, or of what was put aside; they are gone when the leaves are there, and come back
#: together with them.
TAKE: Final = _take("audit_outbox")
TAKE_ASIDE: Final = _take("audit_outbox_aside")

#: Puts what waits of a log that refuses aside, so that nobody looks for the others' rows among it.
PUT_ASIDE: Final = """
WITH taken AS (
    DELETE FROM audit_outbox
    WHERE ctid = ANY (ARRAY(SELECT ctid FROM audit_outbox WHERE tenant_id = %(tenant)s LIMIT %(rows)s))
    RETURNING tenant_id, record_ids
)
INSERT INTO audit_outbox_aside (tenant_id, record_ids) SELECT tenant_id, record_ids FROM taken
"""

#: Those of the records that are in a leaf already. Neither joined to the records nor narrowed by tenant: a planner that
#: has no statistics yet would go through all of the tenant's leaves for it.
PRESENT: Final = """
SELECT record_id::text, tenant_id FROM audit_leaf
WHERE record_id = ANY (%(ids)s::uuid[]) AND generation = %(generation)s
"""

#: `first` and `last` let the planner leave out months.
RECORDS: Final = f"""
SELECT {entries.COLUMNS} FROM audit_record r
WHERE r.tenant_id = %(tenant)s AND r.id = ANY (%(ids)s::uuid[]) AND r.id >= %(first)s AND r.id <= %(last)s
ORDER BY r.id
"""  # noqa: S608 - constants only

#: The tenant's records, in their order, whether the outbox names them or not.
ALL: Final = (
    "SELECT id::text FROM audit_record WHERE tenant_id = %(tenant)s AND id > %(after)s ORDER BY id LIMIT %(rows)s"
)

#: One statement for all leaves of a batch. hashes: 32 bytes of each, one behind the other.
ADD_LEAVES: Final = """
INSERT INTO audit_leaf (tenant_id, generation, index, record_id, hash)
SELECT %(tenant)s, %(generation)s, %(size)s + place - 1, id,
    substring(%(hashes)s::bytea FROM (place::integer - 1) * 32 + 1 FOR 32)
FROM unnest(%(ids)s::uuid[]) WITH ORDINALITY AS leaf(id, place)
"""

ADD_TILE: Final = """
INSERT INTO audit_tile (tenant_id, generation, level, n, hashes, root)
VALUES (%(tenant)s, %(generation)s, %(level)s, %(n)s, %(hashes)s, %(root)s)
"""

ADD_CHECKPOINT: Final = """
INSERT INTO audit_checkpoint (tenant_id, generation, size, note) VALUES (%(tenant)s, %(generation)s, %(size)s, %(note)s)
"""

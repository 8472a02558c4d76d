"""The SQL of witnesses and letters. All of it runs as the seal role, in READ COMMITTED; `now` is the caller's clock."""

from typing import Final

MAKE_WITNESSES: Final = """
INSERT INTO checkpoints_witness (witness, next_at, caught_up_at)
SELECT name, %(now)s, %(now)s FROM unnest(%(names)s::text[]) AS name ON CONFLICT DO NOTHING
"""

FORGET_WITNESSES: Final = "DELETE FROM checkpoints_witness WHERE witness <> ALL (%(names)s::text[])"

DUE_WITNESSES: Final = "SELECT witness FROM checkpoints_witness WHERE next_at <= %(now)s"

#: Whoever gets a row asks this witness, alone, until then.
TAKE_WITNESS: Final = """
UPDATE checkpoints_witness SET next_at = %(until)s WHERE witness = %(witness)s AND next_at <= %(now)s RETURNING tries
"""

#: Logs of which the witness does not know all, those first that it was not asked about for longest.
BEHIND: Final = """
SELECT l.tenant_id, l.generation, coalesce(s.size, 0), coalesce(s.tries, 0)
FROM (SELECT tenant_id, max(generation) AS generation FROM audit_log GROUP BY tenant_id) AS l
CROSS JOIN LATERAL (SELECT c.size FROM audit_checkpoint c WHERE c.tenant_id = l.tenant_id
    AND c.generation = l.generation ORDER BY c.size DESC LIMIT 1) AS head
LEFT JOIN checkpoints_standing s
    ON s.witness = %(witness)s AND s.tenant_id = l.tenant_id AND s.generation = l.generation
WHERE head.size > coalesce(s.size, 0) AND (s.next_at IS NULL OR s.next_at <= %(now)s)
    AND (%(only)s::uuid[] IS NULL OR l.tenant_id = ANY (%(only)s::uuid[]))
ORDER BY s.asked_at NULLS FIRST, l.tenant_id LIMIT %(most)s
"""

#: A log that the witness is no longer asked for is not refused any more.
FORGET_REFUSALS: Final = """
DELETE FROM checkpoints_standing
WHERE witness = %(witness)s AND tries > 0 AND tenant_id <> ALL (%(only)s::uuid[])
"""

ADD_COSIGNATURE: Final = """
INSERT INTO audit_cosignature (tenant_id, generation, witness, size, line)
VALUES (%(tenant)s, %(generation)s, %(witness)s, %(size)s, %(line)s) ON CONFLICT DO NOTHING
"""

COSIGNED: Final = """
INSERT INTO checkpoints_standing AS s (witness, tenant_id, generation, size, asked_at)
VALUES (%(witness)s, %(tenant)s, %(generation)s, %(size)s, %(now)s)
ON CONFLICT (witness, tenant_id, generation) DO UPDATE SET size = excluded.size, asked_at = excluded.asked_at,
    tries = 0, next_at = NULL, refused_since = NULL, refusal = ''
"""

REFUSED: Final = """
INSERT INTO checkpoints_standing AS s
    (witness, tenant_id, generation, asked_at, tries, next_at, refused_since, refusal)
VALUES (%(witness)s, %(tenant)s, %(generation)s, %(now)s, 1, %(again)s, %(now)s, %(why)s)
ON CONFLICT (witness, tenant_id, generation) DO UPDATE SET asked_at = excluded.asked_at, tries = s.tries + 1,
    next_at = excluded.next_at, refused_since = coalesce(s.refused_since, excluded.refused_since),
    refusal = excluded.refusal
"""

#: It answered for this log, and nothing that is of use.
UNANSWERED: Final = """
INSERT INTO checkpoints_standing AS s (witness, tenant_id, generation, asked_at, tries, next_at)
VALUES (%(witness)s, %(tenant)s, %(generation)s, %(now)s, 1, %(again)s)
ON CONFLICT (witness, tenant_id, generation) DO UPDATE SET asked_at = excluded.asked_at, tries = s.tries + 1,
    next_at = excluded.next_at
"""

#: caught_up: whether nothing was left to ask for. It is not while a log waits whose answer was of no use.
ANSWERED: Final = """
UPDATE checkpoints_witness w SET next_at = %(again)s, tries = 0, failing_since = NULL, failure = '',
    caught_up_at = CASE WHEN %(caught_up)s AND NOT EXISTS (SELECT FROM checkpoints_standing s
        WHERE s.witness = w.witness AND s.tries > 0 AND s.refused_since IS NULL
        AND s.generation = (SELECT max(l.generation) FROM audit_log l WHERE l.tenant_id = s.tenant_id))
    THEN %(now)s ELSE caught_up_at END
WHERE witness = %(witness)s
"""

FAILED: Final = """
UPDATE checkpoints_witness SET next_at = %(again)s, tries = tries + 1, failure = %(why)s,
    failing_since = coalesce(failing_since, %(now)s)
WHERE witness = %(witness)s
"""

#: Of witnesses: seconds since each was last asked for all there was and answered, and logs that it refuses. Of
#: generations that were given up for another nothing is told.
WITNESSES: Final = """
SELECT w.witness, extract(epoch FROM %(now)s - w.caught_up_at), (SELECT count(*) FROM checkpoints_standing s
    WHERE s.witness = w.witness AND s.refused_since IS NOT NULL
    AND s.generation = (SELECT max(l.generation) FROM audit_log l WHERE l.tenant_id = s.tenant_id))
FROM checkpoints_witness w WHERE w.witness = ANY (%(names)s::text[]) ORDER BY w.witness
"""

MAKE_LETTERS: Final = """
INSERT INTO checkpoints_mailing (recipient, keys, due_at, next_at)
SELECT recipient, ARRAY[%(keys)s::text], %(now)s, %(now)s
FROM unnest(%(recipients)s::text[]) AS recipient ON CONFLICT DO NOTHING
"""

FORGET_LETTERS: Final = "DELETE FROM checkpoints_mailing WHERE recipient <> ALL (%(recipients)s::text[])"

#: New keys are told at once, and once: while a change is rolled out, some processes have the former ones.
KEYS_CHANGED: Final = """
UPDATE checkpoints_mailing SET keys = keys || %(keys)s::text, due_at = least(due_at, %(now)s), next_at = %(now)s
WHERE %(keys)s <> ALL (keys)
"""

DUE_LETTERS: Final = "SELECT recipient FROM checkpoints_mailing WHERE next_at <= %(now)s"

TAKE_LETTER: Final = """
UPDATE checkpoints_mailing SET next_at = %(until)s
WHERE recipient = %(recipient)s AND next_at <= %(now)s RETURNING tries
"""

#: Unless the keys changed while it was written, or before, and this process has the former ones.
MAILED: Final = """
UPDATE checkpoints_mailing SET due_at = %(due)s, next_at = %(due)s, tries = 0, failing_since = NULL, failure = ''
WHERE recipient = %(recipient)s AND keys[cardinality(keys)] = %(keys)s
"""

NOTHING_TO_MAIL: Final = "UPDATE checkpoints_mailing SET next_at = %(again)s WHERE recipient = %(recipient)s"

NOT_MAILED: Final = """
UPDATE checkpoints_mailing SET next_at = %(again)s, tries = tries + 1, failure = %(why)s,
    failing_since = coalesce(failing_since, %(now)s)
WHERE recipient = %(recipient)s
"""

LATE: Final = """
SELECT greatest(0, max(extract(epoch FROM %(now)s - due_at))) FROM checkpoints_mailing
WHERE recipient = ANY (%(recipients)s::text[])
"""

LOGS: Final = "SELECT tenant_id, max(generation) FROM audit_log GROUP BY tenant_id ORDER BY tenant_id"

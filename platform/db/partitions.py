"""Monthly partitions of tables keyed by UUIDv7.

The time is the key's own first 48 bits, so one primary key serves uniqueness, order and pruning. `migrate` makes a year
ahead, and so do `up` and the command `partitions` once a day; readiness says so when fewer than two months are left.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from uuid import UUID

from django.db import connections

from db import roles

MONTHS_AHEAD = 12
PARTITIONED = ("audit_record", "audit_payload")


def first_id(month: date) -> UUID:
    """Return the least UUIDv7 of the month that `month` lies in."""
    start = datetime(month.year, month.month, 1, tzinfo=UTC)
    return UUID(int=int(start.timestamp() * 1000) << 80)


def next_month(month: date) -> date:
    """Return the first day of the following month."""
    return date(month.year + month.month // 12, month.month % 12 + 1, 1)


def months(start: date, count: int) -> Iterator[date]:
    """Yield `count` first days of months, from `start`'s month on."""
    month = start.replace(day=1)
    for _ in range(count):
        yield month
        month = next_month(month)


def partition_name(table: str, month: date) -> str:
    """Return e.g. `audit_record_2026_11`."""
    return f"{table}_{month:%Y_%m}"


def statements(today: date, existing: set[str]) -> Iterator[str]:
    """Yield the SQL that makes this month's partitions and a year's ahead, where they are not there yet.

    Nobody gets a privilege on a partition: rows are reached through the parent, where the policies are. Each partition
    has its own guard against TRUNCATE, which row triggers do not see; each of records, one number once in a stream.
    """
    for month in months(today, MONTHS_AHEAD + 1):
        for table in PARTITIONED:
            name = partition_name(table, month)
            if name in existing:
                continue
            yield f"CREATE TABLE {name} (LIKE {table} INCLUDING ALL)"
            yield (
                f"CREATE TRIGGER {name}_no_truncate BEFORE TRUNCATE ON {name} "
                "FOR EACH STATEMENT EXECUTE FUNCTION audit_forbid_change()"
            )
            if table == "audit_record":
                # An index of the parent could not be unique without the id.
                yield f"CREATE UNIQUE INDEX {name}_stream ON {name} (stream, seq)"
            # Made beside it first, so that those who read and append at that moment wait for nobody.
            yield (
                f"ALTER TABLE {table} ATTACH PARTITION {name} "
                f"FOR VALUES FROM ('{first_id(month)}') TO ('{first_id(next_month(month))}')"
            )


def make(using: str, *, today: date) -> list[str]:
    """Make what is missing of this month's partitions and a year's ahead; return the names of those made.

    using: the owner's connection. All or none, and one at a time. Locks: SHARE UPDATE EXCLUSIVE on the parents.
    """
    with connections[using].cursor() as cursor:
        cursor.execute("SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = to_regclass('audit_record')")
        if cursor.fetchone() != (roles.JOURNAL,):
            return []  # migrated to a state before the journal was handed over
    with roles.journal(using), connections[using].cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('countersign.partitions'))")
        before = present(using)
        for statement in statements(today, before):
            cursor.execute(statement)
        return sorted(present(using) - before)


def present(using: str) -> set[str]:
    """Return the names of the partitions that are there; any role may ask."""
    with connections[using].cursor() as cursor:
        cursor.execute(_PRESENT)
        return {name for (name,) in cursor.fetchall()}


def months_ahead(existing: set[str], today: date) -> int:
    """Return how many whole months after this one have every partition; -1 when this month's own lacks one."""
    ahead = -1
    for month in months(today, MONTHS_AHEAD + 1):
        if any(partition_name(table, month) not in existing for table in PARTITIONED):
            break
        ahead += 1
    return ahead


_PRESENT = (
    "SELECT relname FROM pg_class WHERE relispartition AND relkind = 'r' AND relnamespace = 'public'::regnamespace"
)

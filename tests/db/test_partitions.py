"""Partitions: months, their bounds, and what `migrate` makes of them."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest
from django.core.management import call_command
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from hypothesis import given
from hypothesis import strategies as st

from audit import journal
from audit.journal import Entry
from db import partitions, roles
from db.models import new_id
from db.scope import tenant_scope
from tests.worlds import world

TABLES = partitions.PARTITIONED

days = st.dates(date(1970, 1, 1), date(9000, 12, 31))


@pytest.mark.parametrize(
    ("month", "following"),
    [
        (date(2026, 1, 1), date(2026, 2, 1)),
        (date(2026, 1, 31), date(2026, 2, 1)),
        (date(2026, 11, 30), date(2026, 12, 1)),
        (date(2026, 12, 1), date(2027, 1, 1)),
        (date(2027, 12, 31), date(2028, 1, 1)),
        (date(2028, 2, 29), date(2028, 3, 1)),
    ],
)
def test_the_next_month(month: date, following: date) -> None:
    assert partitions.next_month(month) == following


@given(days)
def test_months_follow_each_other_without_a_gap(day: date) -> None:
    found = list(partitions.months(day, 30))

    assert found[0] == day.replace(day=1)
    assert all(
        (later.year * 12 + later.month) - (month.year * 12 + month.month) == 1 for month, later in pairwise(found)
    )


@given(days)
def test_a_months_bounds_hold_exactly_its_moments(day: date) -> None:
    low, high = partitions.first_id(day), partitions.first_id(partitions.next_month(day))
    start = datetime(day.year, day.month, 1, tzinfo=UTC)
    following = partitions.next_month(day)
    end = datetime(following.year, following.month, 1, tzinfo=UTC)

    def least(at: datetime) -> UUID:
        return UUID(int=(int((at - datetime.fromtimestamp(0, UTC)) / timedelta(milliseconds=1)) << 80) | 7 << 76)

    assert low <= least(start) < high <= least(end)
    assert low <= least(end - timedelta(milliseconds=1)) < high
    assert (
        not low <= least(start - timedelta(milliseconds=1)) < high if start > datetime.fromtimestamp(0, UTC) else True
    )


def test_a_name_says_table_and_month() -> None:
    assert partitions.partition_name("audit_record", date(2026, 3, 31)) == "audit_record_2026_03"


def test_a_year_is_made_ahead_over_the_years_end() -> None:
    made = list(partitions.statements(date(2026, 11, 22), set()))

    attached = [statement for statement in made if "ATTACH PARTITION" in statement]
    assert len(attached) == 13 * len(partitions.PARTITIONED)
    assert made[0] == "CREATE TABLE audit_record_2026_11 (LIKE audit_record INCLUDING ALL)"
    assert made[1].startswith("CREATE TRIGGER audit_record_2026_11_no_truncate ")
    assert attached[-1].startswith("ALTER TABLE audit_payload ATTACH PARTITION audit_payload_2027_11 ")
    assert any("audit_record_2027_01 " in statement for statement in made)


def test_only_what_is_missing_is_made() -> None:
    existing = {
        partitions.partition_name(table, month)
        for table in partitions.PARTITIONED
        for month in partitions.months(date(2026, 11, 1), 13)
    }

    assert list(partitions.statements(date(2026, 11, 22), existing)) == []
    more = partitions.statements(date(2026, 12, 1), existing)
    assert [text.split()[2] for text in more if text.startswith("CREATE TABLE")] == [
        "audit_record_2027_12",
        "audit_payload_2027_12",
    ]


@pytest.mark.parametrize(("missing", "ahead"), [(0, -1), (1, 0), (2, 1), (3, 2), (12, 11), (13, 12)])
def test_months_ahead_counts_up_to_the_first_gap(missing: int, ahead: int) -> None:
    """0 is this month's own, without which nothing can be recorded."""
    today = date(2026, 11, 22)
    gap = list(partitions.months(today, 14))[missing]
    for lacking in partitions.PARTITIONED:
        existing = {
            partitions.partition_name(table, month)
            for table in partitions.PARTITIONED
            for month in partitions.months(today, 13)
        } - {partitions.partition_name(lacking, gap)}

        assert partitions.months_ahead(existing, today) == ahead


def test_migrating_makes_a_year_ahead(owner_connection: BaseDatabaseWrapper) -> None:
    assert partitions.months_ahead(partitions.present("owner"), today()) == 12


def today() -> date:
    """Return the day it is in UTC."""
    return datetime.now(UTC).date()


def catalogue(owner: BaseDatabaseWrapper) -> list[tuple[str, ...]]:
    """Return everything `migrate` shapes: relations, privileges, policies, triggers, keys."""
    with owner.cursor() as cursor:
        cursor.execute(
            "SELECT relname, relkind::text, coalesce(relacl, acldefault('r', relowner))::text, relrowsecurity::text, "
            "relforcerowsecurity::text FROM pg_class WHERE relnamespace = 'public'::regnamespace "
            "UNION ALL SELECT tablename, policyname, roles::text, qual, with_check FROM pg_policies "
            "UNION ALL SELECT tgrelid::regclass::text, tgname, tgenabled::text, pg_get_triggerdef(oid), '' "
            "FROM pg_trigger WHERE NOT tgisinternal "
            "UNION ALL SELECT conrelid::regclass::text, oid::text, pg_get_constraintdef(oid), convalidated::text, '' "
            "FROM pg_constraint WHERE connamespace = 'public'::regnamespace "
            "UNION ALL SELECT indrelid::regclass::text, indexrelid::text, indisvalid::text, '', '' FROM pg_index "
            "WHERE indrelid::regclass::text !~ '^pg_' "
            "UNION ALL SELECT attrelid::regclass::text, attname, attacl::text, '', '' FROM pg_attribute "
            "WHERE attacl IS NOT NULL AND attrelid::regclass::text !~ '^pg_'"
        )
        return sorted(tuple(str(value) for value in row) for row in cursor.fetchall())


def test_migrating_again_changes_nothing(owner_connection: BaseDatabaseWrapper) -> None:
    before = catalogue(owner_connection)

    for _ in range(2):
        call_command("migrate", verbosity=0, interactive=False)

    assert catalogue(owner_connection) == before


def test_partitions_made_again_are_not_made_twice(owner_connection: BaseDatabaseWrapper) -> None:
    assert partitions.make("owner", today=today()) == []


def test_the_runtime_role_sees_which_partitions_there_are(database: None) -> None:
    """Readiness asks as the runtime role."""
    assert partitions.months_ahead(partitions.present("default"), today()) == 12


def test_time_goes_on_and_partitions_with_it_while_others_append(owner_connection: BaseDatabaseWrapper) -> None:
    """A month later, with an append under way that has not committed: nobody waits for anybody."""
    made, later = world(), partitions.next_month(today())
    last = list(partitions.months(later, 13))[-1]
    names = [partitions.partition_name(table, last) for table in partitions.PARTITIONED]
    with owner_connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '5s'")
    try:
        with tenant_scope(made.tenant_id):
            stream = new_id()
            journal.append_at(stream, 0, [Entry("a.b", "engine")])
            assert partitions.make("owner", today=later) == sorted(names)
            journal.append_at(stream, 1, [Entry("a.b", "engine")])
        like = partitions.partition_name("audit_record", later)
        assert guards(owner_connection, names[0]) == guards(owner_connection, like)
    finally:
        remove(names)
    assert partitions.months_ahead(partitions.present("owner"), today()) == 12


def guards(owner: BaseDatabaseWrapper, name: str) -> tuple[list[str], list[str]]:
    """Return the triggers and the indexes of a partition, without its name."""
    with owner.cursor() as cursor:
        cursor.execute("SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgrelid = %s::regclass ORDER BY 1", [name])
        triggers = [text.replace(name, "…") for (text,) in cursor.fetchall()]
        cursor.execute("SELECT indexdef FROM pg_indexes WHERE tablename = %s", [name])
        return triggers, sorted(text.replace(name, "…").partition(" ON ")[2] for (text,) in cursor.fetchall())


def remove(names: list[str]) -> None:
    """Drop partitions, by the one way there is."""
    with roles.journal("owner"), connections["owner"].cursor() as cursor:
        for name in names:
            cursor.execute(f"DROP TABLE {name}")


def test_the_command_says_what_it_made(owner_connection: BaseDatabaseWrapper, capsys: Any) -> None:
    names = [partitions.partition_name(table, list(partitions.months(today(), 13))[-1]) for table in TABLES]
    remove(names)

    call_command("partitions")
    assert capsys.readouterr().out.split() == sorted(names)
    call_command("partitions")
    assert capsys.readouterr().out.startswith("Nothing to make")

"""Every table that is linked to runs is erased with one, or says why it need not be."""

import re

from django.db.backends.base.base import BaseDatabaseWrapper

from db.tables import OfRuns, listed

#: Columns that name a run, or what comes of one, whatever they are called.
LINK = re.compile(r"(^|_)(run|runs|retry_of|escalation|delivery|stream|record)(_ids?)?$")

#: Foreign keys between tables of ours.
REFERENCES = """
SELECT conrelid::regclass::text, confrelid::regclass::text FROM pg_constraint
WHERE contype = 'f' AND connamespace = 'public'::regnamespace
"""
COLUMNS = """
SELECT c.relname, a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped
"""


def linked(owner: BaseDatabaseWrapper) -> set[str]:
    """Return the tenants' tables that name a run or something that comes of one, over however many others."""
    tenants = {name for name, table in listed().items() if table.tenant}
    with owner.cursor() as cursor:
        cursor.execute(COLUMNS)
        found = {table for table, column in cursor.fetchall() if LINK.search(column)} | {"agents_run"}
        cursor.execute(REFERENCES)
        references = cursor.fetchall()
    while more := {of for of, to in references if to in found & tenants} - found:
        found |= more
    return found & tenants


def test_every_table_that_is_linked_to_runs_is_erased_or_says_why_not(owner_connection: BaseDatabaseWrapper) -> None:
    found = linked(owner_connection)

    assert {"agents_toolresult", "webhooks_delivery", "escalations_vote", "audit_payload"} <= found
    assert [name for name in sorted(found) if not listed()[name].erase] == []


def test_what_is_blanked_is_there_and_what_names_the_run_too(owner_connection: BaseDatabaseWrapper) -> None:
    with owner_connection.cursor() as cursor:
        cursor.execute(COLUMNS)
        columns = set(cursor.fetchall())
    for name, table in listed().items():
        if isinstance(table.erase, OfRuns):
            assert {(name, each) for each in (table.erase.column, *table.erase.blank)} <= columns

"""Where something about a run is kept beside the journal: every table that says so in its app's `tables.py`.

A table joins by `erase=OfRuns("run_id")` on its entry; one that is linked to runs and holds nothing to erase says why
there instead (tests/retention/test_places.py finds one that says neither).
"""

from collections.abc import Iterator, Sequence
from uuid import UUID

from django.db import connection

from db.scope import current_tenant_id
from db.tables import OfRuns, Table, listed


def places() -> Iterator[tuple[Table, OfRuns]]:
    """Yield the tables, in their order by name."""
    for _, table in sorted(listed().items()):
        if isinstance(table.erase, OfRuns):
            yield table, table.erase


def erase(runs: Sequence[UUID]) -> int:
    """Erase what is kept of these runs of the tenant in scope; returns how many rows went or were blanked."""
    if not runs:
        return 0
    return sum(_run(_erasing(table, of), runs) for table, of in places())


def count(runs: Sequence[UUID]) -> dict[str, int]:
    """Return how many rows of each place that is would take, by table."""
    found: dict[str, int] = {}
    for table, of in places():
        if of.blank:
            continue
        with connection.cursor() as cursor:
            cursor.execute(_counting(table, of), {"tenant": current_tenant_id(), "runs": list(runs)})
            found[table.name] = cursor.fetchone()[0]
    return {name: rows for name, rows in found.items() if rows}


def _run(statement: str, runs: Sequence[UUID]) -> int:
    with connection.cursor() as cursor:
        cursor.execute(statement, {"tenant": current_tenant_id(), "runs": list(runs)})
        return int(cursor.rowcount)


def _erasing(table: Table, of: OfRuns) -> str:
    where = f"WHERE {table.tenant} = %(tenant)s AND {of.column} = ANY(%(runs)s)"
    if not of.blank:
        return f'DELETE FROM "{table.name}" {where}'  # noqa: S608 - names of our own
    values = ", ".join(f"{column} = {value}" for column, value in of.blank.items())
    return f'UPDATE "{table.name}" SET {values} {where}'  # noqa: S608 - names of our own


def _counting(table: Table, of: OfRuns) -> str:
    return (
        f'SELECT count(*) FROM "{table.name}"'  # noqa: S608 - names of our own
        f" WHERE {table.tenant} = %(tenant)s AND {of.column} = ANY(%(runs)s)"
    )

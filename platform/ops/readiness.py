"""Whether this process can do its work now: what `/readyz` answers and `up` waits for."""

from datetime import UTC, date, datetime

from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from db import partitions, provision
from vault.actions import keys
from vault.errors import FieldKeysLost

MIN_MONTHS_AHEAD = 2
"""Fewer journal partitions than these many months ahead call for `partitions` before appends fail."""

_migrated = False


def problems() -> dict[str, str]:
    """What is wrong, by the name of the check; empty when ready.

    Raises django.db.Error when the database can't be reached.
    """
    found = {
        "role": " ".join(provision.privileged_runtime(connection)),
        "migrations": unapplied_migrations(),
        "partitions": partition_shortage(),
        "keys": lost_keys(),
    }
    return {check: problem for check, problem in found.items() if problem}


def unapplied_migrations() -> str:
    """A sentence when migrations are missing. Once all are applied this process needn't look again."""
    global _migrated
    if _migrated:
        return ""
    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if plan:
        return f"{len(plan)} migrations are not applied, the first is {plan[0][0]}: run `manage.py migrate`."
    _migrated = True
    return ""


def partition_shortage(today: date | None = None) -> str:
    """A sentence when the journal's partitions reach less than two months ahead. today: in UTC; None for now."""
    ahead = partitions.months_ahead(partitions.present("default"), today or datetime.now(UTC).date())
    if ahead >= MIN_MONTHS_AHEAD:
        return ""
    short = (
        f"has partitions for {ahead} months ahead" if ahead >= 0 else "lacks this month's partitions and cannot grow"
    )
    return f"The journal {short}: run `manage.py partitions`, which makes a year's, and see to it that it runs daily."


def lost_keys() -> str:
    """A sentence when secrets are sealed with a key that this process doesn't have."""
    try:
        keys.refuse_lost()
    except FieldKeysLost as error:
        return str(error)
    return ""

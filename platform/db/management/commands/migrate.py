"""`migrate` as the owner of the tables, then a year of partitions; never as the role that serves."""

from datetime import UTC, datetime
from typing import Any

from django.core.management.base import CommandError
from django.core.management.commands.migrate import Command as DjangoMigrate
from django.db import DEFAULT_DB_ALIAS, OperationalError, connections
from psycopg.errors import LockNotAvailable

from db import partitions, provision

LOCK_TIMEOUT = "15s"
"""Who waits for a table's lock stands in front of everybody who comes after: a long query elsewhere would stop all."""


class Command(DjangoMigrate):
    help = "Brings the database's schema, privileges and journal partitions up to date (as the owner role)."

    def handle(self, *args: Any, **options: Any) -> None:
        if options["database"] == DEFAULT_DB_ALIAS:
            options["database"] = "owner"
        connection = connections[options["database"]]
        try:
            provision.ensure_roles(connection)
        except OperationalError as error:
            raise CommandError(f"The database can't be reached as its owner: {error}") from error
        with connection.cursor() as cursor:
            cursor.execute("SET app.migrating = 'on'")  # see the policies in db.tables
            # What the login's URL or the server sets counts more.
            cursor.execute(
                "SELECT set_config('lock_timeout', %s, false) WHERE current_setting('lock_timeout') = '0'",
                [LOCK_TIMEOUT],
            )
        try:
            super().handle(*args, **options)
            partitions.make(options["database"], today=datetime.now(UTC).date())
        except OperationalError as error:
            if isinstance(error.__cause__, LockNotAvailable):
                raise CommandError(
                    "A table was in use for so long that migrating gave way. What was done stays, none is by half: run"
                    " `migrate` again when no long query or dump is under way."
                ) from error
            raise
        connection.close()

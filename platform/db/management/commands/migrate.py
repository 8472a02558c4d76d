"""`migrate` as the owner of the tables, then a year of partitions; never as the role that serves."""

from datetime import UTC, datetime
from typing import Any

from django.core.management.base import CommandError
from django.core.management.commands.migrate import Command as DjangoMigrate
from django.db import DEFAULT_DB_ALIAS, OperationalError, connections

from db import partitions, provision


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
        super().handle(*args, **options)
        partitions.make(options["database"], today=datetime.now(UTC).date())
        connection.close()

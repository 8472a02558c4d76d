"""`migrate` as the owner of the tables, then a year of partitions; never as the role that serves."""

from datetime import date
from typing import Any

from django.core.management.base import CommandError
from django.core.management.commands.migrate import Command as DjangoMigrate
from django.db import DEFAULT_DB_ALIAS, OperationalError, connections

from db import partitions, provision, roles


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
        make_partitions(options["database"])
        connection.close()


def make_partitions(using: str) -> None:
    """Make the journal's partitions up to a year ahead, where missing."""
    with connections[using].cursor() as cursor:
        cursor.execute("SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = to_regclass('audit_record')")
        owner = cursor.fetchone()
    if owner != (roles.JOURNAL,):
        return  # migrated to a state before the journal's own
    with roles.journal(using), connections[using].cursor() as cursor:
        cursor.execute(partitions.EXISTING)
        existing = {name for (name,) in cursor.fetchall()}
        for statement in partitions.statements(date.today(), existing):
            cursor.execute(statement)

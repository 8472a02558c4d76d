"""`partitions`: keep the journal's partitions a year ahead, as the owner role; to be run once a day."""

from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError

from db import partitions


class Command(BaseCommand):
    help = "Makes the journal's partitions a year ahead, where missing (as the owner role). Run it once a day."
    requires_system_checks: list[str] = []  # noqa: RUF012 - Django's declaration

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            made = partitions.make("owner", today=datetime.now(UTC).date())
        except OperationalError as error:
            raise CommandError(f"The database can't be reached as its owner: {error}") from error
        self.stdout.write("\n".join(made) or "Nothing to make: the journal has partitions for a year.")

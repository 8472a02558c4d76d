"""`seal`: moves what waits into the logs and signs them. `qcluster` and `temporal_worker` do it all the time."""

import threading
from argparse import ArgumentParser
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError

from audit import journal
from audit.sealer.errors import LogRefused
from audit.sealer.loop import keep_sealing, sealer
from audit.sealer.sealer import Sealer
from db import session
from db.scope import tenant_scope
from tenants.actions import tenants
from tenants.errors import TenantError
from tenants.principal import COMMAND


class Command(BaseCommand):
    help = "Seals the logs: once, or until told to stop; and what to do after a restore (docs/compliance.md)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        what = parser.add_mutually_exclusive_group()
        what.add_argument("--watch", action="store_true", help="seal until told to stop")
        what.add_argument("--sweep", metavar="LOG", help="also find records of this log that the outbox has lost")
        what.add_argument(
            "--accept", metavar="LOG", help="the copy of its last checkpoint is lost: believe the database"
        )
        what.add_argument("--restart", metavar="LOG", help="a restored backup lacks what was signed: begin a log anew")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["watch"]:
            keep_sealing(threading.Event())
            return
        with session.connect() as connection:
            sealing = sealer(connection)
            try:
                self._once(sealing, options)
            except (LogRefused, TenantError, OSError) as error:
                raise CommandError(str(error)) from error

    def _once(self, sealing: Sealer, options: dict[str, Any]) -> None:
        if options["sweep"]:
            self.stdout.write(f"sealed {sealing.sweep(tenants.log_named(options['sweep']))} records")
        elif options["accept"]:
            head = sealing.accept(tenants.log_named(options["accept"]))
            self.stdout.write(f"{head.origin} goes on behind its {head.size} leaves")
        elif options["restart"]:
            self._restart(sealing, tenants.log_named(options["restart"]))
        else:
            self.stdout.write(f"sealed {sealing.round()} records")
            if sealing.refused:
                raise CommandError("\n".join(sealing.refused.values()))

    def _restart(self, sealing: Sealer, log: UUID) -> None:
        begun = sealing.restart(log)
        with tenant_scope(log):
            journal.record("log.restarted", stream=log, actor=COMMAND, facts={"generation": begun.generation})
        self.stdout.write(f"sealed {sealing.sweep(log)} records in {begun.origin}")

"""`temporal_worker`: drives the runs that Temporal dispatches, in one process, until told to stop."""

import asyncio
import logging
import os
import signal
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from temporalio.service import RPCError

from agents.engine.temporal.worker import TemporalWorker
from agents.management.starting import refuse_unsafe_start
from agents.providers.installed import provider
from quotas.provider import gate


class Command(BaseCommand):
    help = "Runs one worker of the Temporal engine: drives runs until told to stop (SIGTERM or Ctrl-C)."
    requires_system_checks: list[str] = []  # noqa: RUF012 - Django declares it so

    def handle(self, *args: Any, **options: Any) -> None:
        refuse_unsafe_start()
        try:
            asyncio.run(_serve(TemporalWorker(provider().answer, gate=gate())))
        except (RPCError, RuntimeError) as error:
            raise CommandError(f"Temporal does not let this worker work: {error}") from error


async def _serve(worker: TemporalWorker) -> None:
    told = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    await worker.serve(told)
    # An ordinary end would wait for steps that do not end, and for threads of the SDK that try to reach the server.
    logging.shutdown()
    os._exit(0)

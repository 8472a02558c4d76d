"""`temporal_worker`: drives the runs that Temporal dispatches, in one process, until told to stop."""

import asyncio
import logging
import os
import signal
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import connection, connections
from temporalio.service import RPCError

from agents.engine.temporal.worker import TemporalWorker
from agents.providers.installed import provider
from db import provision
from quotas.provider import gate
from vault.actions import keys
from vault.errors import VaultError


class Command(BaseCommand):
    help = "Runs one worker of the Temporal engine: drives runs until told to stop (SIGTERM or Ctrl-C)."
    requires_system_checks: list[str] = []  # noqa: RUF012 - Django declares it so

    def handle(self, *args: Any, **options: Any) -> None:
        _refuse_unsafe_start()
        try:
            asyncio.run(_serve(TemporalWorker(provider().answer, gate=gate())))
        except (RPCError, RuntimeError) as error:
            raise CommandError(f"Temporal does not let this worker work: {error}") from error


async def _serve(worker: TemporalWorker) -> None:
    told = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    if not await worker.serve(told):
        logging.shutdown()
        os._exit(0)  # the threads of steps that do not end would keep the process


def _refuse_unsafe_start() -> None:
    try:
        unsafe = provision.privileged_runtime(connection)
        if unsafe:
            raise CommandError(" ".join(unsafe))
        keys.refuse_lost()
    except VaultError as error:
        raise CommandError(str(error)) from error
    finally:
        connections.close_all()

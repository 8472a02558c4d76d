"""`temporal_worker`: drives the runs that Temporal dispatches, in one process, until told to stop."""

import asyncio
import logging
import os
import signal
import threading
from typing import Any

from django.core.management.base import BaseCommand
from temporalio.service import RPCError

from agents.engine.garbage import leave_what_is_loaded
from agents.engine.temporal.worker import TemporalWorker
from agents.management.starting import refuse_unsafe_start
from agents.providers.installed import provider
from audit.sealer.loop import keep_sealing
from quotas.provider import gate

log = logging.getLogger(__name__)


class Command(BaseCommand):
    help = "Runs one worker of the Temporal engine: drives runs until told to stop (SIGTERM or Ctrl-C)."
    requires_system_checks: list[str] = []  # noqa: RUF012 - Django declares it so

    def handle(self, *args: Any, **options: Any) -> None:
        refuse_unsafe_start()
        worker = TemporalWorker(provider().answer, gate=gate())
        leave_what_is_loaded()
        ended = threading.Event()
        threading.Thread(target=keep_sealing, args=[ended], name="sealer", daemon=True).start()
        try:
            asyncio.run(self._serve(worker))
        finally:
            ended.set()

    async def _serve(self, worker: TemporalWorker) -> None:
        told = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, told.set)
        try:
            await worker.serve(told)
            code = 0
        except Exception as error:
            if isinstance(error, RPCError | RuntimeError):
                self.stderr.write(f"Temporal does not let this worker work: {error}")
            else:
                log.exception("the worker broke")
            code = 1
        # An ordinary end would wait for steps that do not end, and for threads of the SDK that try to reach the server.
        self.stderr.flush()
        logging.shutdown()
        os._exit(code)

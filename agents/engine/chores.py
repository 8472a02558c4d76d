"""What is to be done beside runs, in time: each worker's process looks about once a second.

An app adds a chore at `ready`. A chore does what is due, in transactions of its own, and takes no more than a batch
at a time; two processes that do one at the same time do no harm. One that fails is told of and tried again.
"""

import logging
import threading
from collections.abc import Callable
from typing import Final

from django.db import DatabaseError, connections

log = logging.getLogger(__name__)

#: Seconds between looks.
EVERY_S: Final = 1.0

CHORES: Final[list[Callable[[], None]]] = []


def do_all() -> None:
    """Do what is due now, in a thread that uses the database for nothing else."""
    try:
        _do_each()
    finally:
        connections.close_all()


def _do_each() -> None:
    for chore in CHORES:
        try:
            chore()
        except DatabaseError as error:
            log.warning("a chore is put off, the database says: %s", error)
        except Exception:
            log.exception("a chore failed; it is tried again")


class Chores:
    """The thread of one process that does them, for as long as somebody calls `see_to`."""

    def __init__(self) -> None:
        self._thread = threading.Thread()

    def see_to(self) -> None:
        """Do what is due, in a thread of its own: nobody who drives runs waits for it."""
        if not self._thread.is_alive():
            self._thread = threading.Thread(target=do_all, name="chores", daemon=True)
            self._thread.start()

    def end(self, timeout_s: float) -> None:
        """Wait for the thread."""
        if self._thread.is_alive():
            self._thread.join(timeout_s)

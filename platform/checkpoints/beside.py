"""The chore: what is due is done in a thread of its own for each witness, and one for letters.

Neither the sealer nor another chore waits for a witness that is slow or a mail server that does not answer.
"""

import logging
import threading
from collections.abc import Callable
from functools import partial
from typing import Final

from django.conf import settings
from django.db import DatabaseError, connections

from checkpoints import letters, rounds
from checkpoints.clock import Clock, database_now

log = logging.getLogger(__name__)

#: The thread of letters, among those that bear a witness's name.
_LETTERS: Final = "letters"


class Messengers:
    """The threads of one process. They end by themselves; none is begun while the last one of its name works."""

    def __init__(self) -> None:
        self._threads: dict[str, threading.Thread] = {}

    def send_due(self, clock: Clock = database_now) -> None:
        """Begin what is due. Costs nothing where neither witnesses nor letters are set."""
        if settings.WITNESSES:
            for witness in rounds.due(clock()):
                self._begin(witness.name, partial(rounds.go_round, witness, clock))
        if settings.CHECKPOINT_MAIL:
            for recipient in letters.due(clock()):
                self._begin(_LETTERS, partial(letters.send, recipient, clock))

    def close(self) -> None:
        """Wait for what was begun."""
        for thread in self._threads.values():
            thread.join()

    def _begin(self, name: str, work: Callable[[], object]) -> None:
        thread = self._threads.get(name)
        if thread is None or not thread.is_alive():
            self._threads[name] = threading.Thread(target=_doing, args=[name, work], name=name, daemon=True)
            self._threads[name].start()


def _doing(name: str, work: Callable[[], object]) -> None:
    try:
        work()
    except DatabaseError as error:
        log.warning("what goes to %s is put off, the database says: %s", name, error)
    except Exception:
        log.exception("what goes to %s broke; it is tried again", name)
    finally:
        connections.close_all()


MESSENGERS: Final = Messengers()

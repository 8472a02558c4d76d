"""The sealer beside the workers: a thread that looks at the outbox every second, for as long as the process lives."""

import logging
from typing import Final, Protocol
from urllib.parse import urlsplit

import psycopg
from django.conf import settings
from django.db import connections

from audit.sealer.copies import Copies
from audit.sealer.sealer import Sealer
from db import session
from db.pool import Connection

log = logging.getLogger(__name__)

#: Seconds between two looks at the outbox. A checkpoint is at most this and one round behind.
POLL_S: Final = 1.0

#: Seconds before another try when the database cannot be reached.
AGAIN_S: Final = 2.0


class Stop(Protocol):
    """An event, of threads or of processes."""

    def wait(self, timeout: float | None = None) -> bool: ...


def sealer(connection: Connection) -> Sealer:
    """Return a sealer of this installation."""
    host = urlsplit(settings.BASE_URL).netloc
    return Sealer(connection, Copies(settings.AUDIT_CHECKPOINTS_DIR), host=host)


def keep_sealing(stop: Stop) -> None:
    """Seal until told to stop. Whatever fails is logged and tried again; those who append never notice."""
    wait = 0.0
    while not stop.wait(wait):
        wait = AGAIN_S
        try:
            with session.connect() as connection:
                sealing = sealer(connection)
                while not stop.wait(POLL_S):
                    sealing.round()
                return
        except psycopg.OperationalError as error:
            log.warning("the log is not sealed while the database is away: %s", error)
        except Exception:
            log.exception("sealing failed; it begins again")
        finally:
            connections.close_all()

"""A witness's round: the logs of which it does not know all are shown to it, one after the other.

A log that it refuses waits by itself, and so does one whose answer is of no use, as long as those of the next log are;
a witness that fails waits as a whole, longer each time, and is then asked for the newest checkpoint of each log alone,
however long it was away. One process asks a witness at a time.
"""

import logging
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.db import connection

from audit.stored import execute
from checkpoints import asking, statements
from checkpoints.asking import Cosigned, Failed, Refused, Unanswerable
from checkpoints.clock import Clock, again, database_now
from config.checkpoints import Witness
from db.roles import seal
from tenants.actions import tenants
from tenants.errors import TenantError

log = logging.getLogger(__name__)

#: Logs that one round asks for, and seconds after which it leaves the rest to the next one.
MOST: Final = 200
ROUND_S: Final = 30.0

#: After which time whoever took a witness is taken for dead: longer than a round and one log's two requests.
TAKEN: Final = timedelta(seconds=120)

#: How long a log that is refused waits at most.
REFUSED_FOR: Final = timedelta(hours=1)


def due(now: datetime) -> list[Witness]:
    """Return the witnesses that are to be asked; those that are new are known from here on, former ones forgotten."""
    by_name = {each.name: each for each in settings.WITNESSES}
    with seal(), connection.cursor() as cursor:
        of: dict[str, Any] = {"names": list(by_name), "now": now}
        cursor.execute(statements.MAKE_WITNESSES, of)
        cursor.execute(statements.FORGET_WITNESSES, of)
        return [by_name[name] for (name,) in execute(statements.DUE_WITNESSES, of)]


def go_round(asked: Witness, clock: Clock = database_now) -> int:
    """Ask the witness for what it does not know, unless another process does; returns how many logs it cosigned."""
    with seal():
        now = clock()
        taken = execute(statements.TAKE_WITNESS, {"witness": asked.name, "now": now, "until": now + TAKEN})
    if not taken:
        return 0
    tries = int(taken[0][0])
    try:
        cosigned, rest = _through(asked, _behind(asked, clock()), clock)
    except Failed as failed:
        if tries == 0:
            log.error("the witness %s cannot be asked; it is tried again: %s", asked.name, failed)
        with seal():
            now = clock()
            wait = {"witness": asked.name, "now": now, "again": again(now, tries), "why": str(failed)[:500]}
            _write(statements.FAILED, wait)
        return 0
    if tries:
        log.warning("the witness %s answers again", asked.name)
    with seal():
        now = clock()
        next_at = now if rest else now + timedelta(seconds=settings.WITNESS_SECONDS)
        _write(statements.ANSWERED, {"witness": asked.name, "now": now, "again": next_at, "caught_up": not rest})
    return cosigned


def _behind(asked: Witness, now: datetime) -> Sequence[tuple[UUID, int, int, int]]:
    """Return the logs to ask for: tenant, generation, the size that the witness knows, refusals in a row."""
    try:
        only = [tenants.log_named(log) for log in asked.logs] or None
    except TenantError as error:
        raise Failed(str(error)) from error
    of = {"witness": asked.name, "now": now, "most": MOST, "only": only}
    with seal():
        if only:
            _write(statements.FORGET_REFUSALS, of)
        return [(row[0], row[1], row[2], row[3]) for row in execute(statements.BEHIND, of)]


def _through(asked: Witness, behind: Sequence[tuple[UUID, int, int, int]], clock: Clock) -> tuple[int, bool]:
    """Ask for each log; returns how many were cosigned, and whether some are left. Raises `Failed`.

    An answer that is of no use lets its log wait, at the end of the line; a second one in a row is the witness's fault.
    """
    cosigned, useless, until = 0, False, time.monotonic() + ROUND_S
    for done, (tenant_id, generation, known, tries) in enumerate(behind):
        if time.monotonic() > until:
            return cosigned, done < len(behind)
        of = {"witness": asked.name, "tenant": tenant_id, "generation": generation}
        try:
            found = asking.ask(asked, tenant_id, generation, known=known)
        except Refused as refused:
            if tries == 0:
                log.error("the log of %s is not cosigned: the witness %s %s", tenant_id, asked.name, refused)
            with seal():
                now = clock()
                wait = min(timedelta(minutes=1) * (1 << min(tries, 10)), REFUSED_FOR)
                _write(statements.REFUSED, {**of, "now": now, "again": now + wait, "why": str(refused)[:500]})
            useless = False
        except Unanswerable as error:
            if tries == 0:
                log.error("the log of %s is not cosigned by %s; it is tried again: %s", tenant_id, asked.name, error)
            with seal():
                now = clock()
                _write(statements.UNANSWERED, {**of, "now": now, "again": again(now, tries)})
            if useless:
                raise
            useless = True
        else:
            _keep(of, found, clock)
            cosigned, useless = cosigned + 1, False
    return cosigned, len(behind) == MOST


def _keep(of: dict[str, Any], found: Cosigned, clock: Clock) -> None:
    with seal():
        _write(statements.ADD_COSIGNATURE, {**of, "size": found.size, "line": found.signature.line})
        _write(statements.COSIGNED, {**of, "size": found.size, "now": clock()})


def _write(statement: str, parameters: dict[str, Any]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)

"""The chore that sends letters by the mail server: a few at a time, in one thread of the process.

A letter is taken for `TAKEN_S` seconds in a commit of its own, sent outside any transaction, and its outcome is written
after. A process that dies in between leaves it to be taken again; one that is slow finds it taken by another, and lets
it be. What the server had taken before a death, and nobody wrote down, is sent again under the same `Message-ID`.

A server that is away costs one attempt a round: whatever was taken with it is put off (`webhooks.backoff`), for a day.
"""

import logging
import smtplib
import threading
from collections.abc import Sequence
from datetime import timedelta
from random import random
from typing import Any, Final
from uuid import UUID

from django.core.mail import EmailMessage, get_connection
from django.db import connection, connections
from django.db.models.functions import Now

from agents.actions.runs import transaction_time
from db.roles import dispatch
from db.scope import tenant_scope
from metrics import counters
from notices.letters import compose, mail_is_on
from notices.models import Letter
from webhooks import backoff

log = logging.getLogger(__name__)

#: Letters of one round, those of one tenant among them, and seconds after which who took one is taken for dead: more
#: than the mail server's longest silence (`EMAIL_TIMEOUT`, at each step of one letter).
BATCH: Final = 20
OF_ONE_TENANT: Final = 10
TAKEN_S: Final = 300

#: How long letters are kept to look up, and how many rows are let go at a time.
KEPT: Final = timedelta(days=30)
LET_GO: Final = 100

#: The tenants' oldest first, then their second ones: however many one has, the others' turn comes.
_TAKE: Final = """
WITH due AS (
    SELECT id, next_at, row_number() OVER (PARTITION BY tenant_id ORDER BY next_at, id) AS turn
    FROM notices_letter WHERE next_at <= now()
)
UPDATE notices_letter SET next_at = now() + make_interval(secs => %(taken)s), attempts = attempts + 1
WHERE id IN (SELECT l.id FROM notices_letter l JOIN due ON due.id = l.id
             WHERE l.next_at <= now() AND due.turn <= %(each)s
             ORDER BY due.turn, due.next_at LIMIT %(most)s FOR UPDATE OF l SKIP LOCKED)
RETURNING tenant_id, id, attempts
"""

#: A letter as it was taken: tenant, id, and the number of attempts, which is the fence.
Taken = tuple[UUID, UUID, int]


class Office:
    """The thread of one process that sends, while there is something to send."""

    def __init__(self) -> None:
        self._thread = threading.Thread()

    def send_due(self) -> None:
        """Take what is due and begin to send it, unless the last round is still at it."""
        if self._thread.is_alive() or not mail_is_on():
            return
        if taken := take():
            self._thread = threading.Thread(target=_round, args=(taken,), name="notices", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Wait for what is being sent."""
        if self._thread.is_alive():
            self._thread.join()


def take() -> list[Taken]:
    """Take letters that are due, of whatever tenant, in a commit of its own."""
    with dispatch(), connection.cursor() as cursor:
        cursor.execute(_TAKE, {"taken": TAKEN_S, "most": BATCH, "each": OF_ONE_TENANT})
        taken: list[Taken] = cursor.fetchall()
        return taken


def _round(taken: Sequence[Taken]) -> None:
    try:
        send_all(taken)
    except Exception:
        log.exception("a round of letters broke off; what it had taken is tried again")
    finally:
        connections.close_all()


def send_all(taken: Sequence[Taken]) -> None:
    """Send these letters over one connection to the mail server, and write what came of each."""
    mail: Any = get_connection()
    away: str | None = None
    try:
        for one in taken:
            away = _send(mail, one, away)
    finally:
        mail.fail_silently = True  # a server that does not say good-bye has taken what it took
        mail.close()


def _send(mail: Any, taken: Taken, away: str | None) -> str | None:
    """Send one letter; returns why the server cannot be reached, if so. away: what the letter before found of that."""
    message = _prepared(taken)
    if message is None:
        return away
    connection.close()  # nothing of the database is held while a mail server takes its time
    if away is not None:
        _outcome(taken, away)
        return away
    try:
        mail.open()
    except OSError as error:  # what smtplib raises is one, too
        _outcome(taken, type(error).__name__)
        return type(error).__name__
    try:
        mail.send_messages([message])
    except smtplib.SMTPRecipientsRefused as refused:
        _outcome(taken, type(refused).__name__, permanent=all(code >= 500 for code, _ in refused.recipients.values()))
    except OSError as error:
        _outcome(taken, type(error).__name__)
        is_there = isinstance(error, smtplib.SMTPException) and not isinstance(error, smtplib.SMTPServerDisconnected)
        return None if is_there else type(error).__name__
    else:
        _outcome(taken, None)
    return None


def _prepared(taken: Taken) -> EmailMessage | None:
    """Return what to send; None when it is another's by now, or there is nothing left to say, which is written."""
    tenant_id, letter_id, attempts = taken
    with tenant_scope(tenant_id):
        letter = _held(letter_id, attempts)
        if letter is None:
            return None
        try:
            message = compose(letter)
        except Exception:
            log.exception("a letter's text could not be made", extra={"letter": str(letter_id)})
            _again(letter, "text")
            return None
        if message is None:
            letter.status, letter.next_at = "void", None
        else:
            letter.next_at = transaction_time() + timedelta(seconds=TAKEN_S)
        letter.save()
        return message


def _outcome(taken: Taken, error: str | None, *, permanent: bool = False) -> None:
    tenant_id, letter_id, attempts = taken
    with tenant_scope(tenant_id):
        letter = _held(letter_id, attempts)
        if letter is None:
            return
        if error is None:
            letter.status, letter.sent_at, letter.next_at, letter.error = "sent", transaction_time(), None, None
            letter.save()
        else:
            _again(letter, error, permanent=permanent)
        over = Letter.objects.filter(next_at=None, created_at__lt=Now() - KEPT).values_list("id", flat=True)
        Letter.objects.filter(id__in=list(over[:LET_GO])).delete()
    counters.count("letters", "sent" if error is None else letter.status)


def _held(letter_id: UUID, attempts: int) -> Letter | None:
    """Return the letter, its row locked, while it is still who asks that took it last."""
    rows = Letter.objects.select_for_update(of=("self",)).filter(id=letter_id, attempts=attempts)
    return rows.filter(next_at__isnull=False).first()


def _again(letter: Letter, error: str, *, permanent: bool = False) -> None:
    """Put it off, or give it up when a day is over or its address takes nothing."""
    letter.error = error[:100]
    letter.next_at = None
    if not permanent:
        letter.next_at = backoff.next_at(
            made_at=letter.created_at,
            now=transaction_time(),
            attempts=letter.attempts,
            jitter=random(),  # noqa: S311 - spreads attempts
        )
    letter.status = "pending" if letter.next_at is not None else "failed"
    log.warning("a letter was not sent: %s", letter.error, extra={"letter": str(letter.id), "status": letter.status})
    letter.save()


OFFICE: Final = Office()

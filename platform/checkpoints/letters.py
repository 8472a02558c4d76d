"""Checkpoints by mail: to each address of CHECKPOINT_MAIL, in a fixed interval and when the signing keys change.

What is sent is made when it is sent, of the newest checkpoints: after a day without mail one letter goes out, not many.
A letter that a mail server took may go out twice, when this process dies before it is written down.
"""

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from smtplib import SMTPException
from typing import Any, Final

from django.conf import settings
from django.core.mail import EmailMessage
from django.db import connection

from audit import heads
from audit.log.note import VerifierKey
from audit.sealer import keys
from audit.stored import BrokenLog, Signed, StoredLog, execute
from checkpoints import statements
from checkpoints.clock import FIRST, Clock, again, database_now
from config.checkpoints import Recipient
from config.email import OFF
from db.errors import Refusal
from db.roles import seal
from tenants.actions import tenants

log = logging.getLogger(__name__)

#: Logs whose checkpoints stand in one letter.
IN_ONE: Final = 100

#: After which time whoever took a letter is taken for dead.
TAKEN: Final = timedelta(minutes=10)

#: What stands before and behind each checkpoint.
CUT: Final = "-------- 8< --------"

_TEXT: Final = """\
These are the heads of {host}'s transparency logs as they are signed now. Keep this letter where those who run
{host} cannot change it: a log that is rewritten later no longer leads on from what you hold, and whoever rewrites it
cannot make it do so.

How to check, when you are given an export of a log:

  1. Save what stands between the two lines of scissors of that log, without them, as a file of UTF-8: checkpoint
  2. python3 audit-verify.pyz EXPORT --key VKEY --checkpoint checkpoint

It proves that the log you were given begins with the one below. Any implementation of the C2SP documents signed-note,
tlog-checkpoint and tlog-tiles does so too. VKEY is what stands under "Keys", newest first; if it is not what you were
told before, ask somebody you know there whether the keys were changed.
"""


@dataclass(frozen=True, slots=True)
class Told:
    """A log's head as a letter has it. problem: why what stands in the database is not told; "" for nothing."""

    origin: str
    size: int
    at: datetime
    note: str
    vkeys: tuple[str, ...]
    problem: str = ""

    @property
    def text(self) -> str:
        """As it stands in the letter."""
        signed = f"Log:    {self.origin}\nLeaves: {self.size}, signed on {self.at:%Y-%m-%d at %H:%M:%S} UTC\n"
        if self.problem:
            return f"Log:    {self.origin}\nIts checkpoint is not what was signed. {self.problem}\n"
        listed = "".join(f"Keys:   {key}\n" for key in self.vkeys)
        return f"{signed}{listed}\n{CUT}\n{self.note}{CUT}\n"


def due(now: datetime) -> list[Recipient]:
    """Return who is to be written to; new ones are known from here on, former ones forgotten."""
    by_digest = {digest(each): each for each in settings.CHECKPOINT_MAIL}
    of: dict[str, Any] = {"recipients": list(by_digest), "keys": _keys(), "now": now}
    with seal():
        for statement in (statements.MAKE_LETTERS, statements.FORGET_LETTERS, statements.KEYS_CHANGED):
            _write(statement, of)
        return [by_digest[digest] for (digest,) in execute(statements.DUE_LETTERS, of)]


def send(recipient: Recipient, clock: Clock = database_now) -> bool:
    """Write to one, unless another process does; says whether the mail server took it."""
    of = {"recipient": digest(recipient), "keys": _keys()}
    with seal():
        now = clock()
        taken = execute(statements.TAKE_LETTER, {**of, "now": now, "until": now + TAKEN})
    if not taken:
        return False
    tries = int(taken[0][0])
    try:
        heads_told = told(recipient)
        connection.close()
        for subject, text in letters(heads_told):
            _post(recipient, subject, text)
    except (SMTPException, OSError, Refusal, BrokenLog) as error:
        if tries == 0:
            log.error("checkpoints were not mailed; it is tried again: %s", _why(error))
        with seal():
            now = clock()
            _write(statements.NOT_MAILED, {**of, "now": now, "again": again(now, tries), "why": _why(error)})
        return False
    with seal():
        now = clock()
        if heads_told:
            _write(statements.MAILED, {**of, "due": now + timedelta(hours=settings.CHECKPOINT_MAIL_HOURS)})
        else:
            _write(statements.NOTHING_TO_MAIL, {**of, "again": now + FIRST})
    return bool(heads_told)


def told(recipient: Recipient) -> list[Told]:
    """Return the heads that one is told of. Raises `UnknownTenant`; `BrokenLog` when a checkpoint is none at all."""
    wanted = tenants.log_named(recipient.log) if recipient.log else None
    found = []
    with seal():
        for tenant_id, generation in execute(statements.LOGS, {}):
            if wanted not in (None, tenant_id):
                continue
            stored = StoredLog.of(tenant_id, generation=generation)
            signed = stored.signed() if stored else None
            if stored is None or signed is None:
                continue
            found.append(_head(stored, signed, keys.verifiers(stored.origin)))
    return found


def _head(stored: StoredLog, signed: Signed, verifiers: Sequence[VerifierKey]) -> Told:
    problem = ""
    try:
        heads.check(stored, signed, verifiers)
    except BrokenLog as error:
        problem = str(error)
    vkeys = tuple(key.text for key in verifiers)
    return Told(stored.origin, signed.head.size, signed.at, signed.note.decode(), vkeys, problem)


def letters(heads_told: Sequence[Told]) -> list[tuple[str, str]]:
    """Return the letters that tell of these heads: subjects and texts."""
    parts = [heads_told[first : first + IN_ONE] for first in range(0, len(heads_told), IN_ONE)]
    host = settings.BASE_URL.partition("://")[2]
    made = []
    for number, part in enumerate(parts, 1):
        of = f" ({number} of {len(parts)})" if len(parts) > 1 else ""
        text = "\n".join((_TEXT.format(host=host), *(each.text for each in part)))
        made.append((f"Checkpoints of {host}{of}", text))
    return made


def _post(recipient: Recipient, subject: str, text: str) -> None:
    if settings.EMAIL_BACKEND == OFF:
        raise OSError("EMAIL_URL is off, and CHECKPOINT_MAIL is set")
    EmailMessage(subject, text, to=[recipient.address]).send()


def _why(error: Exception) -> str:
    """Return why, without what a mail server says: it repeats addresses."""
    said = "" if isinstance(error, SMTPException) else f": {error}"
    return f"{type(error).__name__}{said}"[:500]


def digest(recipient: Recipient) -> str:
    """Return what one is known by in the database, where no address is kept."""
    return hashlib.sha256(recipient.entry.encode()).hexdigest()


def _keys() -> str:
    """Return what tells today's signing keys from others."""
    public = b"".join(key.public for key in keys.verifiers("countersign"))
    return hashlib.sha256(public).hexdigest()


def _write(statement: str, parameters: dict[str, Any]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)

"""The chore that puts a member's notices whose time has come into one letter: at once, or a digest's worth."""

import logging
from typing import Final
from uuid import UUID

from django.db import connection
from django.db.models.functions import Now

from agents.actions.runs import transaction_time
from db.roles import dispatch
from db.scope import tenant_scope
from notices.models import Letter, Notice

log = logging.getLogger(__name__)

#: Letters that one look makes.
BATCH: Final = 200

_DUE: Final = """
SELECT tenant_id, user_id FROM notices_notice WHERE letter_id IS NULL AND send_at <= now()
GROUP BY tenant_id, user_id ORDER BY min(send_at) LIMIT %s
"""


def gather_all() -> None:
    """Make the letters that are due, of whatever tenant; each in a transaction of its own."""
    with dispatch(), connection.cursor() as cursor:
        cursor.execute(_DUE, [BATCH])
        found: list[tuple[UUID, UUID]] = cursor.fetchall()
    for tenant_id, user_id in found:
        try:
            with tenant_scope(tenant_id):
                gather(user_id)
        except Exception:
            log.exception("a letter could not be made; it is tried again", extra={"user": str(user_id)})


def gather(user_id: UUID) -> Letter | None:
    """Make the member's letter of what is due, in the tenant's scope; None when nothing is.

    Lock: the notices, with SKIP LOCKED: one is in one letter, however many processes look at once.
    """
    due = Notice.objects.select_for_update(of=("self",), skip_locked=True)
    ids = list(due.filter(user_id=user_id, letter=None, send_at__lte=Now()).values_list("id", flat=True))
    if not ids:
        return None
    now = transaction_time()
    letter = Letter.objects.create(user_id=user_id, created_at=now, next_at=now)
    Notice.objects.filter(id__in=ids).update(letter=letter)
    return letter

"""The chore that finds out whom a happening concerns: each becomes a notice for each of them, once."""

import logging
from datetime import timedelta
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db import DatabaseError, connection

from agents.actions.runs import transaction_time
from db.roles import dispatch
from db.scope import tenant_scope
from escalations.models import Escalation
from notices.letters import mail_is_on
from notices.models import Happening, Notice, Preference
from notices.recipients import is_still_so, recipients
from notices.times import send_at

log = logging.getLogger(__name__)

#: Happenings that one look sees to; seconds that one rests that could not be; after how long it is given up.
BATCH: Final = 200
RESTS_S: Final = 60
GIVEN_UP_AFTER: Final = timedelta(days=1)

_DUE: Final = "SELECT tenant_id, id FROM notices_happening WHERE look_at <= now() ORDER BY look_at LIMIT %s"


def address_all() -> None:
    """See to every happening, of whatever tenant; each in a transaction of its own."""
    with dispatch(), connection.cursor() as cursor:
        cursor.execute(_DUE, [BATCH])
        found: list[tuple[UUID, UUID]] = cursor.fetchall()
    for tenant_id, happening_id in found:
        try:
            with tenant_scope(tenant_id):
                address(happening_id)
        except Exception:
            log.exception("nobody can be told of this", extra={"happening": str(happening_id)})
            _put_off(tenant_id, happening_id)


def address(happening_id: UUID) -> None:
    """Make the notices of one happening, in its tenant's scope.

    Lock: the happening's row, which goes with the commit. So of several who look at once one makes them, and one that
    dies before its commit has made none.
    """
    happening = Happening.objects.select_for_update(skip_locked=True).filter(id=happening_id).first()
    if happening is None:
        return
    escalation = Escalation.objects.get(id=happening.escalation_id)
    kind = "appealed" if happening.kind == "asked" and escalation.kind == "appeal" else happening.kind
    if mail_is_on() and is_still_so(kind, escalation):
        _make(happening, kind, recipients(kind, escalation))
    happening.delete()


def _make(happening: Happening, kind: str, people: set[UUID]) -> None:
    preferences = {each.user_id: each for each in Preference.objects.filter(user_id__in=people)}
    now = transaction_time()
    made = []
    for user_id in sorted(people):
        wish = preferences.get(user_id) or Preference(user_id=user_id)
        if wish.mode == "none":
            continue
        when = send_at(mode=wish.mode, hour=wish.hour, zone=ZoneInfo(wish.time_zone), now=now)
        told = {"happening_id": happening.id, "escalation_id": happening.escalation_id, "at": happening.at}
        made.append(Notice(user_id=user_id, kind=kind, send_at=when, **told))
    Notice.objects.bulk_create(made)


def _put_off(tenant_id: UUID, happening_id: UUID) -> None:
    """Look at it later, or no more, so that it holds up no other."""
    try:
        with tenant_scope(tenant_id):
            now = transaction_time()
            Happening.objects.filter(id=happening_id, at__lt=now - GIVEN_UP_AFTER).delete()
            Happening.objects.filter(id=happening_id).update(look_at=now + timedelta(seconds=RESTS_S))
    except DatabaseError as error:
        log.warning("nor can it be put off: %s", type(error).__name__, extra={"happening": str(happening_id)})

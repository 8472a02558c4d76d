"""How somebody wants to be written to: their own affair."""

from zoneinfo import available_timezones

from access import permissions
from access.acting import acting
from audit import journal
from notices.errors import NoMailbox, UnknownTimeZone
from notices.models import Preference
from tenants.principal import Principal


def needed(principal: Principal) -> str:
    """Return what a key must allow to change them: who decides is not silenced by a key that only reads."""
    deciding = "escalations:decide"
    return deciding if deciding in permissions.ALLOWED[principal.role] else "escalations:read"


def of(principal: Principal) -> Preference:
    """Return the member's, in their tenant's scope; what everybody begins with when they never said."""
    return Preference.objects.filter(user_id=principal.user_id).first() or Preference(user_id=principal.user_id)


def put(mode: str, hour: int, time_zone: str, *, acting_as: Principal) -> Preference:
    """Say how one is written to. One that is so already is returned without a record.

    mode: of `notices.times.MODES`. hour: of a daily digest, 0 to 23. time_zone: IANA name. What was put down already
    is told when it was to be. Raises `AccessDenied`, `NoMailbox`, `UnknownTimeZone`.
    """
    with acting(acting_as, needed(acting_as)) as actor:
        if acting_as.is_service:
            raise NoMailbox
        if time_zone not in available_timezones():
            raise UnknownTimeZone
        wanted = {"mode": mode, "hour": hour, "time_zone": time_zone}
        present = Preference.objects.select_for_update().filter(user_id=acting_as.user_id).first()
        if present is not None and {name: getattr(present, name) for name in wanted} == wanted:
            return present
        made, _ = Preference.objects.update_or_create(user_id=acting_as.user_id, defaults=wanted)
        # When somebody works is theirs to know: the record says that, and the payload what.
        facts = {"mode": mode}
        journal.record(
            "notices.changed",
            stream=made.id,
            actor=actor,
            subject=f"user:{acting_as.user_id}",
            facts=facts,
            payload={"hour": hour, "time_zone": time_zone},
        )
        return made

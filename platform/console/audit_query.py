"""What a form of the audit pages asks for, read into what the journal is searched and exported by. In the scope."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import ClassVar, Final
from uuid import UUID

from django.utils.dateparse import parse_date

from agents.core.events import BY_ACTION
from audit import terms
from audit.exports.rows import Filter
from audit.search import Wanted
from console.run_list import uuid_of
from db.errors import Refusal
from tenants.actions import members

_ACTION: Final = re.compile(r"[a-z_]{1,60}\.[a-z_]{1,60}")
_OPAQUE: Final = re.compile(r"engine|anonymous|[a-z_]{1,40}:[A-Za-z0-9_-]{1,80}")


class Unreadable(Refusal):
    """What was typed cannot be read."""

    code: ClassVar[str] = "unreadable"


def wanted(given: Mapping[str, str]) -> Wanted:
    """Return what a search asks for. Raises `Unreadable`, `UnknownMember`."""
    action = _action(given)
    return Wanted(
        actor=who(given.get("actor", "")),
        action=action,
        beyond_runs=action is not None and action not in BY_ACTION,
        subject=who(given.get("subject", "")),
        run=_run(given),
        since=day(given.get("from", "")),
        until=day(given.get("to", ""), 1),
        text=_words(given.get("q", "")),
    )


def narrowing(given: Mapping[str, str]) -> Filter:
    """Return what an export is narrowed to. Raises `Unreadable`, `UnknownMember`."""
    actor, subject = who(given.get("actor", "")), who(given.get("subject", ""))
    return Filter(actor=actor, action=_action(given), subject=subject, run=_run(given))


def who(text: str) -> str | None:
    """Return an opaque id: what was typed, or the one of the member with that address; None for nothing."""
    text = text.strip()
    if not text:
        return None
    if "@" in text:
        return f"user:{members.any_by_email(text).user_id}"
    if not _OPAQUE.fullmatch(text):
        raise Unreadable("Write a member's e-mail address, engine, or an opaque id such as key:….")
    return text


def day(text: str, later: int = 0) -> datetime | None:
    """Return the beginning of a day in UTC, or of the one `later` days after it; None for nothing."""
    if not text.strip():
        return None
    try:
        found = parse_date(text.strip())
        if found is not None:
            return datetime(found.year, found.month, found.day, tzinfo=UTC) + timedelta(days=later)
    except (ValueError, OverflowError):
        found = None
    raise Unreadable("Write a day as 2030-01-31.")


def _action(given: Mapping[str, str]) -> str | None:
    text = given.get("action", "").strip()
    if text and not _ACTION.fullmatch(text):
        raise Unreadable("Write a type of record, such as agent.published.")
    return text or None


def _run(given: Mapping[str, str]) -> UUID | None:
    text = given.get("run", "").strip()
    found = uuid_of(text)
    if text and found is None:
        raise Unreadable("Write the whole id of a run.")
    return found


def _words(text: str) -> tuple[str, ...]:
    found = terms.words(text)
    if len(found) > terms.MOST_WORDS:
        raise Unreadable(f"Write {terms.MOST_WORDS} words at most.")
    return tuple(found)

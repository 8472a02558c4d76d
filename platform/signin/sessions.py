"""How long a session lasts, where it was seen last, how it is ended, and when it is forgotten."""

import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from allauth.usersessions.adapter import DefaultUserSessionsAdapter
from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib.auth import logout
from django.contrib.sessions.models import Session
from django.db import connection
from django.db.models.signals import post_save
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponseBase

from signin import records
from tenants.models import User

_SINCE: Final = "signin.since"
_SEEN: Final = "signin.seen"

#: What a session's being used is written down at most every so often, in seconds.
_EVERY_S: Final = 60


class SessionLimits:
    """Middleware: ends a session that lasted too long or lay idle, and keeps where it is used from."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if isinstance(request.user, User):
            self._look_at(request, int(time.time()))
        return self._get_response(request)

    def _look_at(self, request: HttpRequest, now: int) -> None:
        session = request.session
        since, seen = session.get(_SINCE), session.get(_SEEN)
        if since is None or seen is None:
            session[_SINCE] = session[_SEEN] = now
            return
        over = "age" if now - since > settings.SESSION_MAX_AGE_S else "idle"
        if over == "age" or now - seen > settings.SESSION_IDLE_S:
            setattr(request, records.ENDED_BY, over)
            logout(request)
        elif now - seen >= _EVERY_S and not _asks_by_itself(request):
            session[_SEEN] = now
            UserSession.objects.create_from_request(request)


def _asks_by_itself(request: HttpRequest) -> bool:
    # A page that keeps itself up to date is nobody's work: the stream of a run, and a list that says what it shows.
    return "text/event-stream" in request.headers.get("Accept", "") or "shown" in request.GET


# Anybody can have a session made, by setting out for single sign-on. Each one takes away some that are over, those of a
# browser that never came back as well, so that they don't pile up wherever and however long the installation runs;
# those another transaction is busy with are skipped.
_FORGET: Final = """\
DELETE FROM django_session WHERE session_key IN (
    SELECT session_key FROM django_session WHERE expire_date < statement_timestamp()
    ORDER BY expire_date LIMIT 10 FOR UPDATE SKIP LOCKED)"""

# The oldest places come first by their ids; sessions end at most SESSION_MAX_AGE_S after they began.
_FORGET_PLACES: Final = """\
DELETE FROM usersessions_usersession WHERE id IN (
    SELECT id FROM usersessions_usersession
    WHERE id IN (SELECT id FROM usersessions_usersession ORDER BY id LIMIT 10)
      AND created_at < statement_timestamp() - make_interval(secs => %s) FOR UPDATE SKIP LOCKED)"""


@receiver(post_save, sender=Session)
def _forget(created: bool, **_: Any) -> None:
    if created:
        with connection.cursor() as cursor:
            cursor.execute(_FORGET)
            cursor.execute(_FORGET_PLACES, [settings.SESSION_MAX_AGE_S])


class SessionsAdapter(DefaultUserSessionsAdapter):  # type: ignore[misc]
    """Leaves a record of sessions that are ended from another one."""

    def end_sessions(self, sessions: Iterable[UserSession]) -> None:
        ended = list(sessions)
        if not ended:
            return
        named = [session.id for session in ended]
        super().end_sessions(ended)
        records.revoked(ended[0].user, sessions=named)


@dataclass(frozen=True, slots=True)
class Seen:
    """A session as its person sees it in the list. browser: such as `Firefox on Linux`."""

    id: int
    browser: str
    phone: bool
    address: str
    began: datetime
    last: datetime
    current: bool


def of(request: HttpRequest, user: User) -> list[Seen]:
    """Return the account's sessions, this one first, then those used last; what has run out is forgotten."""
    found = [
        Seen(
            session.id,
            browser_of(session.user_agent),
            bool(re.search(r"Mobi|iPhone|Android", session.user_agent)),
            session.ip,
            session.created_at,
            session.last_seen_at,
            session.is_current(),
        )
        for session in UserSession.objects.purge_and_list(user)
    ]
    return sorted(found, key=lambda each: (each.current, each.last), reverse=True)


#: Later ones call themselves by the names of earlier ones too, so the first that fits is meant.
_BROWSERS: Final = (
    (r"Edg(?:e|A|iOS)?/", "Edge"),
    (r"OPR/|Opera", "Opera"),
    (r"SamsungBrowser/", "Samsung Internet"),
    (r"Firefox/|FxiOS/", "Firefox"),
    (r"(?:Headless)?Chrom(?:e|ium)/|CriOS/", "Chrome"),
    (r"Safari/", "Safari"),
    (r"curl/", "curl"),
)
_SYSTEMS: Final = (
    (r"iPhone", "iPhone"),
    (r"iPad", "iPad"),
    (r"Android", "Android"),
    (r"Windows", "Windows"),
    (r"Mac OS X|Macintosh", "macOS"),
    (r"CrOS", "ChromeOS"),
    (r"Linux", "Linux"),
)


def browser_of(user_agent: str) -> str:
    """Return what a browser calls itself in words; what it says proves nothing."""
    browser = next((name for pattern, name in _BROWSERS if re.search(pattern, user_agent)), "Unknown browser")
    system = next((name for pattern, name in _SYSTEMS if re.search(pattern, user_agent)), "")
    return f"{browser} on {system}" if system else browser

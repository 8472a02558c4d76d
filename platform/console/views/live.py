"""A run's page kept up to date: server-sent events whose data are the parts of the page that changed.

Each message's id is the number of the last event it shows, so a browser that comes again (`Last-Event-ID`) goes on from
there. Parts carry ids and replace what stands on the page, so a part sent twice does no harm.

A stream ends when its session, its person's place in the tenant or their role does not stand any more: all of it is
asked anew after each look at the run, so that nothing is told that happened since. The browser comes again, with the
rights it has then.
"""

import re
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from asgiref.sync import sync_to_async
from django.contrib.auth import get_user
from django.contrib.sessions.backends.base import SessionBase
from django.core.exceptions import PermissionDenied
from django.db import connection, connections
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.middleware.csrf import get_token
from django.template.loader import render_to_string
from django.views.decorators.http import require_GET

from agents.core.lifecycle import TERMINAL
from agents.engine import watch
from console import run_page
from console.members import Member, check, count, member_of, note_staff, refusals_recorded
from console.run_view import changes_context
from db.scope import tenant_scope
from quotas import streams
from signin.reach import reach_of
from tenants.models import User

#: How long a stream is silent at most; a proxy and a browser tell a quiet one from a dead one by it.
HEARTBEAT_S: Final = 15.0

#: How often the run and the rights are looked at while nothing happens.
LOOK_S: Final = 2.0

#: How long a stream lasts at most: what only requests are held to, a session's age, is asked when the browser returns.
LAST_S: Final = 900.0

#: How long a browser waits before it comes again, in milliseconds.
RETRY_MS: Final = 2000

_LINE_END: Final = re.compile(r"\r\n|\r|\n")

VIEWS: Final = {"steps": "console/runs/_live_steps.html", "events": "console/runs/_live_events.html"}


@require_GET
async def live(request: HttpRequest, tenant: str, run: UUID) -> HttpResponseBase:
    """Stream what happens in the run behind `Last-Event-ID`, else `?after=`, until it ends."""
    entered = await sync_to_async(_enter)(request, tenant, run)
    if entered is None:
        return HttpResponse("Sign in first.", status=401, content_type="text/plain")
    member, place = entered
    told = request.headers.get("Last-Event-ID") or request.GET.get("after", "")
    after = int(told) if told.isascii() and told.isdigit() and len(told) < 10 else 0
    template = VIEWS.get(request.GET.get("view", ""), VIEWS["steps"])
    watcher = _Watcher(request.session, member, run, template, get_token(request))
    return StreamingHttpResponse(
        streams.Placed(place, _messages(watcher, after)),
        content_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


@dataclass(frozen=True, slots=True)
class _Watcher:
    """Who looks at which run: member as at the beginning; template: what shows the run's changes.

    csrf_token: for the forms among them, which are made without the request.
    """

    session: SessionBase
    member: Member
    run: UUID
    template: str
    csrf_token: str


async def _messages(watcher: _Watcher, after: int) -> AsyncIterator[str]:
    # Keeping the session, which comes after the view, may have taken a connection to this request's thread.
    await sync_to_async(connections.close_all)()
    began = told = time.monotonic()
    yield f"retry: {RETRY_MS}\n\n"
    while time.monotonic() - began < LAST_S:
        try:
            html, seq, over = await sync_to_async(_changes, thread_sensitive=False)(watcher, after)
        except (Http404, PermissionDenied):
            return
        if seq > after:
            after, told = seq, time.monotonic()
            yield f"id: {seq}\nevent: changed\n" + "".join(f"data: {line}\n" for line in _LINE_END.split(html)) + "\n"
        elif over:
            yield "event: end\ndata:\n\n"
            return
        elif time.monotonic() - told >= HEARTBEAT_S:
            told = time.monotonic()
            yield ": still here\n\n"
        else:
            await watch.changed(watcher.run, after=after, timeout_s=min(LOOK_S, HEARTBEAT_S))


def _enter(request: HttpRequest, tenant: str, run: UUID) -> tuple[Member, streams.Place] | None:
    """Return who watches and the place taken for it, or None when nobody is signed in; raises like the page.

    Holds no connection afterwards.
    """
    try:
        member = _member(request, tenant)
        if member is None:
            return None
        count(request, member)
        with refusals_recorded(request, member):
            note_staff(request, member)
            check(member, "runs:read")
        with tenant_scope(member.tenant.id):
            run_page.run_of(run)
        session = str(request.session.session_key)
        return member, streams.take(key=session, user_id=member.user.id, tenant_id=member.tenant.id)
    finally:
        connection.close()


def _member(request: HttpRequest, tenant: str) -> Member | None:
    user = get_user(request)
    return member_of(reach_of(request, user), tenant) if isinstance(user, User) else None


def _changes(watcher: _Watcher, after: int) -> tuple[str, int, bool]:
    """Return the changed parts, the last event they show, and whether the run is over.

    Raises `Http404`, `PermissionDenied` when the rights are no longer those of the beginning.
    """
    try:
        with tenant_scope(watcher.member.tenant.id):
            found = run_page.run_of(watcher.run)
            over = found.status in TERMINAL
            changes = "", after, over
            if found.seq > after:
                context, seq = changes_context(watcher.member, found, after)
                context["csrf_token"] = watcher.csrf_token
                changes = render_to_string(watcher.template, context), seq, over
        _check_still(watcher)
        return changes
    finally:
        connection.close()


def _check_still(watcher: _Watcher) -> None:
    """Raise `Http404`, `PermissionDenied` when the rights are no longer those of the beginning."""
    again = HttpRequest()
    again.session = type(watcher.session)(watcher.session.session_key)
    member = _member(again, watcher.member.tenant.slug)
    if member is None or member.principal != watcher.member.principal:
        raise PermissionDenied
    check(member, "runs:read")

"""A run's page kept up to date: server-sent events whose data are the parts of the page that changed.

Each message's id is the number of the last event it shows, so a browser that comes again (`Last-Event-ID`) goes on from
there. Parts carry ids and replace what stands on the page, so a part sent twice does no harm.
"""

import re
from collections.abc import AsyncIterator
from typing import Final
from uuid import UUID

from asgiref.sync import sync_to_async
from django.contrib.auth import get_user
from django.db import connection
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.template.loader import render_to_string
from django.views.decorators.http import require_GET

from agents.core.lifecycle import TERMINAL
from agents.engine import watch
from console import run_page
from console.members import check, member_of, note_staff, refusals_recorded
from console.run_view import changes_context
from db.scope import tenant_scope
from signin.reach import Reach, reach_of
from tenants.models import User

#: How long a stream is silent at most; a proxy and a browser tell a quiet one from a dead one by it.
HEARTBEAT_S: Final = 15.0

#: How long a browser waits before it comes again, in milliseconds.
RETRY_MS: Final = 2000

_LINE_END: Final = re.compile(r"\r\n|\r|\n")

VIEWS: Final = {"steps": "console/runs/_live_steps.html", "events": "console/runs/_live_events.html"}


@require_GET
async def live(request: HttpRequest, tenant: str, run: UUID) -> HttpResponseBase:
    """Stream what happens in the run behind `Last-Event-ID`, else `?after=`, until it ends."""
    reach = await sync_to_async(_enter)(request, tenant, run)
    if reach is None:
        return HttpResponse("Sign in first.", status=401, content_type="text/plain")
    told = request.headers.get("Last-Event-ID") or request.GET.get("after", "")
    after = int(told) if told.isascii() and told.isdigit() and len(told) < 10 else 0
    template = VIEWS.get(request.GET.get("view", ""), VIEWS["steps"])
    return StreamingHttpResponse(
        _messages(reach, tenant, run, after, template),
        content_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


async def _messages(reach: Reach, tenant: str, run: UUID, after: int, template: str) -> AsyncIterator[str]:
    yield f"retry: {RETRY_MS}\n\n"
    while True:
        try:
            html, seq, over = await sync_to_async(_changes, thread_sensitive=False)(reach, tenant, run, after, template)
        except Http404:
            return  # no longer a member
        if seq > after:
            after = seq
            yield f"id: {seq}\nevent: changed\n" + "".join(f"data: {line}\n" for line in _LINE_END.split(html)) + "\n"
        elif over:
            yield "event: end\ndata:\n\n"
            return
        elif not await watch.changed(run, after=after, timeout_s=HEARTBEAT_S):
            yield ": still here\n\n"


def _enter(request: HttpRequest, tenant: str, run: UUID) -> Reach | None:
    """Return how far the session of who watches reaches, or None when nobody is signed in; raises like the page.

    Holds no connection afterwards.
    """
    try:
        user = get_user(request)
        if not isinstance(user, User):
            return None
        reach = reach_of(request, user)
        member = member_of(reach, tenant)
        with refusals_recorded(request, member):
            note_staff(request, member)
            check(member, "runs:read")
        with tenant_scope(member.tenant.id):
            run_page.run_of(run)
        return reach
    finally:
        connection.close()


def _changes(reach: Reach, tenant: str, run: UUID, after: int, template: str) -> tuple[str, int, bool]:
    """Return the changed parts, the last event they show, and whether the run is over. Membership is asked anew."""
    try:
        member = member_of(reach, tenant)
        with tenant_scope(member.tenant.id):
            found = run_page.run_of(run)
            over = found.status in TERMINAL
            if found.seq <= after:
                return "", after, over
            context, seq = changes_context(member, found, after)
            return render_to_string(template, context), seq, over
    finally:
        connection.close()

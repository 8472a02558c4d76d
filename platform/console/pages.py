"""What every page of a tenant has around its content."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse

from console import inbox_list
from console.members import READING, Member, MemberRequest
from tenants.models import StaffAccess

#: The key that the rehearsal server is called with; no supplier gives it out.
REHEARSAL_KEY: Final = "rehearsal"

THEMES: Final = ("auto", "light", "dark")
THEME_COOKIE: Final = "theme"


@dataclass(frozen=True, slots=True)
class Place:
    """An entry of the navigation.

    view: name of its address. permission: what a role needs to open it, empty for nothing. key: pressed after `g`,
    goes there.
    """

    label: str
    icon: str
    view: str
    permission: str
    key: str


PLACES: Final = (
    Place("Home", "house", "console:tenant", "", "h"),
    Place("Inbox", "inbox", "console:inbox", "escalations:read", "i"),
    Place("Runs", "activity", "console:runs", "runs:read", "r"),
    Place("Agents", "bot", "console:agents", "agents:read", "a"),
    Place("Tools", "wrench", "console:tools", "tools:read", "t"),
    Place("Policies", "shield", "console:policies", "tools:read", "p"),
    Place("Audit", "scroll-text", "console:audit", "audit:read", "l"),
    Place("Usage", "chart-column", "console:usage", "usage:read", "u"),
)

#: Below the others: what is set up rather than worked on. Who may open one of its tabs may open the place.
LOW_PLACES: Final[tuple[Place, ...]] = (
    Place("Developers", "code-xml", "console:developers", "", "d"),
    Place("Settings", "settings", "console:settings", "", "s"),
)


@dataclass(frozen=True, slots=True)
class Tab:
    """One of the pages of a place. view: name of its address; permission: what a role needs to open it."""

    label: str
    view: str
    permission: str


TABS: Final[Mapping[str, tuple[Tab, ...]]] = {
    "console:audit": (
        Tab("Search", "console:audit", "audit:read"),
        Tab("Exports", "console:exports", "audit:export"),
        Tab("Holds", "console:holds", "audit:read"),
        Tab("Erasures", "console:erasures", "audit:read"),
        Tab("Retention", "console:retention", "audit:read"),
        Tab("Log", "console:log", "audit:read"),
    ),
    "console:developers": (
        Tab("Start", "console:developers", "runs:write"),
        Tab("Keys", "console:keys", "keys:write"),
        Tab("Webhooks", "console:webhooks", "webhooks:write"),
    ),
    "console:settings": (
        Tab("Members", "console:members", "people:read"),
        Tab("Teams", "console:teams", "people:read"),
        Tab("Service accounts", "console:accounts", "people:read"),
        Tab("Signing in", "console:sign_in", "admin"),
        Tab("General", "console:general", "admin"),
        Tab("Standing in", "console:delegations", "escalations:decide"),
        Tab("E-mail", "console:notices", "escalations:read"),
    ),
}


def tabs_of(member: Member, place: str) -> list[Tab]:
    """Return the pages of a place that the member may open; none of a place that is one page."""
    return [tab for tab in TABS.get(place, ()) if member.can(tab.permission)]


@dataclass(frozen=True, slots=True)
class Command:
    """Something to do from the palette. view: name of the page it is done on; permission: what a role needs for it."""

    label: str
    icon: str
    view: str
    permission: str


COMMANDS: Final = (
    Command("New agent", "plus", "console:agent_new", "agents:write"),
    Command("New tool", "plus", "console:tool_new", "tools:write"),
    Command("New policy", "plus", "console:policy_new", "tools:write"),
    Command("Export the journal", "download", "console:exports", "audit:export"),
    Command("Legal holds", "lock", "console:holds", "audit:hold"),
    Command("Erase what is held about a person", "eraser", "console:erasures", "audit:erase"),
)


def theme_of(request: HttpRequest) -> str:
    """Return the colour scheme the browser chose here: auto, light or dark."""
    chosen = request.COOKIES.get(THEME_COOKIE, "")
    return chosen if chosen in THEMES else THEMES[0]


def supplier() -> str:
    """Return who answers for the model: `claude`, `rehearsal` (a script on this machine) or `missing`."""
    if settings.ANTHROPIC_API_KEY == REHEARSAL_KEY:
        return "rehearsal"
    return "claude" if settings.ANTHROPIC_API_KEY or settings.ANTHROPIC_BASE_URL else "missing"


def wants_part(request: MemberRequest) -> bool:
    """Say whether only a part of the page is asked for; going back in the browser's history asks for all of it."""
    return bool(request.htmx) and not request.htmx.history_restore_request


def show(request: MemberRequest, template: str, context: Mapping[str, Any], *, place: str) -> HttpResponse:
    """Render a whole page of the tenant; `place` is the address's name of the navigation entry it belongs to."""
    member = request.member
    around = {
        "member": member,
        "tenant": member.tenant,
        "places": [entry for entry in PLACES if not entry.permission or member.can(entry.permission)],
        "low_places": [entry for entry in LOW_PLACES if tabs_of(member, entry.view)],
        "commands": [command for command in COMMANDS if member.can(command.permission)],
        "may_decide": member.can("escalations:decide"),
        "place": place,
        "tabs": tabs_of(member, place),
        "theme": theme_of(request),
        "themes": THEMES,
        "supplier": supplier(),
        "looks_until": _looks_until(member),
        "here": _here(request, place),
    }
    if "waiting" not in context:
        around["waiting"] = inbox_list.waiting(member)
    return render(request, template, around | dict(context))


def _here(request: MemberRequest, place: str) -> str:
    """Return where the reader comes back to: this page, or its place where the page answers a form."""
    if request.method in READING:
        return request.get_full_path()
    return reverse(place, kwargs={"tenant": request.member.tenant.slug})


def _looks_until(member: Member) -> datetime | None:
    access = member.principal.staff_access_id
    return StaffAccess.objects.get(id=access).expires_at if access else None

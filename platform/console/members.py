"""From an address and a session to a member: who looks at which tenant, and the scope its views run in.

Whoever is not signed in is asked to sign in, whatever the address. A tenant one does not belong to, or that the session
is not good for (`signin.reach`), is the same 404 as one that does not exist.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import wraps
from typing import Any, Concatenate, Final, ParamSpec
from urllib.parse import urlsplit, urlunsplit

from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import resolve_url
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache

from access import permissions
from access.errors import AccessDenied
from db.errors import Refusal
from db.scope import tenant_scope
from quotas import rates, refusals
from signin import second_factor
from signin.reach import Admission, Reach, reach_of
from tenants.actions import members, staff
from tenants.models import Tenant, User
from tenants.principal import Principal

P = ParamSpec("P")

READING: Final = frozenset({"GET", "HEAD"})

FORBIDDEN: Final = 403


@dataclass(frozen=True, slots=True)
class Member:
    """Somebody signed in, in one tenant."""

    tenant: Tenant
    user: User
    principal: Principal

    @property
    def sees_payloads(self) -> bool:
        """Say whether inputs, arguments and outputs are shown to this member."""
        return permissions.sees_payloads(self.principal)

    def can(self, permission: str) -> bool:
        """Say whether the member's role allows it."""
        return permissions.can(self.principal, permission)


class MemberRequest(HttpRequest):
    """A request that `member_page` let through."""

    member: Member
    htmx: Any


class AskProvider(Http404):
    """The tenant wants its member to sign in through its own identity provider."""


class AskSecondFactor(Http404):
    """The tenant wants its members, and everybody wants the platform's staff, to have a second factor."""


def member_of(reach: Reach, slug: str) -> Member:
    """Return who is signed in as a member of that tenant now; raises `Http404`, `AskProvider`, `AskSecondFactor`."""
    tenant = Tenant.objects.filter(slug=slug).first()
    principal = members.principal(tenant_id=tenant.id, user_id=reach.user.id) if tenant else None
    if tenant is None or principal is None:
        raise Http404
    admission = reach.admits(tenant.id)
    if admission is not Admission.OPEN:
        raise AskProvider if admission is Admission.ASK else Http404
    if second_factor.is_missing(reach, tenant, staff=principal.staff_access_id is not None):
        raise AskSecondFactor
    return Member(tenant, reach.user, principal)


def user_of(request: HttpRequest) -> User:
    """Return who is signed in; raises `Http404` when nobody is."""
    if not isinstance(request.user, User):
        raise Http404
    return request.user


def check(member: Member, permission: str) -> None:
    """Raise `PermissionDenied`, which shows why, unless the member's role allows it."""
    try:
        permissions.check(member.principal, permission)
    except AccessDenied as error:
        raise PermissionDenied(str(error)) from error


def count(request: HttpRequest, member: Member) -> None:
    """Count the request against the person and the tenant; raises `RateLimited`."""
    rates.count(request, ("user", str(member.user.id)), ("tenant", str(member.tenant.id)))


def note_staff(request: HttpRequest, member: Member) -> None:
    """Record the request of one of the platform's staff; raise `PermissionDenied` for one that could change something.

    Nothing of this concerns the tenant's own members.
    """
    if member.principal.staff_access_id is None:
        return
    match, method = request.resolver_match, request.method or ""
    staff.looked(member.principal, route=match.view_name if match else "", method=method, path=request.get_full_path())
    if method not in READING:
        raise PermissionDenied("Platform staff look, and do nothing else.")


@contextmanager
def refusals_recorded(request: HttpRequest, member: Member) -> Iterator[None]:
    """Record that the block refused the member, after its transaction was rolled back; the error goes on its way.

    Raises `RateLimited` in its place when the member has been refused too much.
    """
    try:
        yield
    except PermissionDenied as error:
        reason = error.__cause__
        refusal = reason if isinstance(reason, AccessDenied) else error
        match = request.resolver_match
        refusals.record(
            member.principal,
            refusal,
            route=match.view_name if match else "",
            method=request.method or "",
            code=getattr(refusal, "code", AccessDenied.code),
        )
        raise


def record_refusal(request: MemberRequest, refusal: Refusal) -> None:
    """Record that an action refused the member, for a page that shows why; only what a right was missing for.

    After the action's own transaction was rolled back. Raises `RateLimited` when the member has been refused too much.
    """
    if refusal.status == FORBIDDEN:
        match = request.resolver_match
        route, method = match.view_name if match else "", request.method or ""
        refusals.record(request.member.principal, refusal, route=route, method=method, code=refusal.code)


View = Callable[Concatenate[MemberRequest, P], HttpResponseBase]


def member_page(
    permission: str | None = None, *, scope: bool = True
) -> Callable[[View[P]], Callable[..., HttpResponseBase]]:
    """Make a view of `/{tenant}/…`: it runs in the tenant's scope as a member whose role allows `permission`.

    scope: False for a view that opens the scope itself, since it commits something before it goes on.
    """

    def decorate(view: View[P]) -> Callable[..., HttpResponseBase]:
        @never_cache
        @wraps(view)
        def page(request: MemberRequest, /, tenant: str, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
            if not request.user.is_authenticated:
                return sign_in_first(request)
            try:
                request.member = member_of(reach_of(request, request.user), tenant)
            except AskProvider:
                return _elsewhere(request, reverse("sso_tenant", kwargs={"tenant": tenant}))
            except AskSecondFactor:
                return _elsewhere(request, reverse("account_enrol"))
            count(request, request.member)
            with refusals_recorded(request, request.member):
                note_staff(request, request.member)
                if permission is not None:
                    check(request.member, permission)
                with tenant_scope(request.member.tenant.id) if scope else nullcontext():
                    return view(request, *args, **kwargs)

        return page

    return decorate


def sign_in_first(request: MemberRequest) -> HttpResponseBase:
    """Send the browser to the sign-in page and back here afterwards."""
    return _elsewhere(request, resolve_url(settings.LOGIN_URL))


def _elsewhere(request: MemberRequest, url: str) -> HttpResponseBase:
    """Send the browser to sign in at `url` and back here afterwards; a swap inside a page takes the page along."""
    if not request.htmx:
        return redirect_to_login(_back(request), url)
    came_from = request.htmx.current_url_abs_path or resolve_url("console:home")
    return HttpResponse(status=204, headers={"HX-Redirect": redirect_to_login(came_from, url).url})


def _back(request: MemberRequest) -> str:
    """Return an address to come back to: this one, or of a form that was sent the page that it stood on."""
    if request.method in READING:
        return request.get_full_path()
    before = request.headers.get("Referer", "")
    if url_has_allowed_host_and_scheme(before, {request.get_host()}, require_https=request.is_secure()):
        parts = urlsplit(before)
        return urlunsplit(("", "", parts.path, parts.query, ""))
    return resolve_url("console:home")

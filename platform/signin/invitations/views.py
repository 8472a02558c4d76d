"""Accept an invitation: with the account of the one invited, or with a new one.

The link came by e-mail, so whoever holds it reads that mailbox. It does no less than a link to a new password and no
more: an account that has a password is signed in to first, one that comes by its provider comes by it first and then
chooses a password, and second factors are asked for as ever. The token goes
from the link into a cookie for the page below, so that no further address, and no `Referer`, holds it.
"""

from enum import Enum
from typing import Final

from allauth.account.internal.flows.login import record_authentication
from allauth.account.utils import perform_login
from django.conf import settings
from django.contrib.auth import logout
from django.contrib.auth.hashers import make_password
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_http_methods

from audit import journal
from db.scope import PLATFORM, tenant_scope
from quotas.addresses import client_address
from signin import records
from signin.domains import domain_of
from signin.invitations.forms import NewAccount
from signin.reach import answering_for, only_by_provider, reach_of
from tenants.actions import invitations, tenants
from tenants.actions.invitations import Found
from tenants.errors import TenantError, UnknownInvitation
from tenants.models import User

COOKIE: Final = "invitation"
_COOKIE_S: Final = 3600


class Step(Enum):
    """What is left to do. PROVIDER: come in by the account's provider first, then choose a password.

    SIGN_OUT: this session is somebody else's, or a provider's word for an account that has a password.
    """

    ACCEPT = "accept"
    NEW = "new"
    JOIN = "join"
    SIGN_IN = "sign_in"
    PROVIDER = "provider"
    SIGN_OUT = "sign_out"


@require_GET
@never_cache
def follow(request: HttpRequest, token: str) -> HttpResponse:
    """Take the token out of the address, and lead on."""
    answer = redirect("invitation")
    answer.set_cookie(
        COOKIE,
        token,
        max_age=_COOKIE_S,
        path=reverse("invitation"),
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )
    return answer


@require_http_methods(["GET", "POST"])
@never_cache
@sensitive_post_parameters("password")
def invitation(request: HttpRequest) -> HttpResponseBase:
    """Show who invites as what, and on POST accept."""
    token = request.COOKIES.get(COOKIE, "")
    try:
        found = invitations.find(token) if token else _none()
        return _accept(request, token, found) if request.method == "POST" else _show(request, found)
    except TenantError as error:
        return render(request, "signin/invitation_over.html", {"words": str(error)}, status=error.status)


def _none() -> Found:
    raise UnknownInvitation


def _step(request: HttpRequest, found: Found) -> Step:
    if isinstance(request.user, User):
        return _step_of_session(request, request.user, found)
    user = User.objects.filter(email=found.email).first()
    if user is not None and (user.has_usable_password() or not user.is_active):
        return Step.SIGN_IN
    answering = answering_for(domain_of(found.email))
    enforced = answering is not None and answering.enforced and answering.tenant_id == found.tenant_id
    if enforced:
        return Step.JOIN
    return Step.PROVIDER if user is not None and only_by_provider(user) else Step.NEW


def _step_of_session(request: HttpRequest, user: User, found: Found) -> Step:
    reach = reach_of(request, user)
    if user.email != found.email:
        return Step.SIGN_OUT
    if reach.by_own_means:
        return Step.ACCEPT
    return Step.NEW if reach.tenants() and not user.has_usable_password() else Step.SIGN_OUT


def _show(request: HttpRequest, found: Found, form: NewAccount | None = None) -> HttpResponse:
    context = {"found": found, "step": _step(request, found).value, "form": form or NewAccount(email=found.email)}
    return render(request, "signin/invitation.html", context)


def _accept(request: HttpRequest, token: str, found: Found) -> HttpResponseBase:
    step = _step(request, found)
    if step is Step.ACCEPT and isinstance(request.user, User):
        invitations.accept(token, user_id=request.user.id)
        return _inside(found)
    if step is Step.JOIN:
        invitations.accept(token, user_id=_account(request, found, name="", password=None).id)
        return _used(redirect("sso_tenant", tenant=_slug(found)))
    form = NewAccount(request.POST, email=found.email)
    if step is not Step.NEW or not form.is_valid():
        return _show(request, found, form if step is Step.NEW else None)
    user = _account(request, found, name=form.cleaned_data["name"], password=form.cleaned_data["password"])
    invitations.accept(token, user_id=user.id)
    logout(request)  # of what the provider vouched for: from here on the person is in by their own means
    user = User.objects.get(id=user.id)
    record_authentication(request, user, method="password", email=user.email)
    return _used(perform_login(request, user, redirect_url=reverse("console:tenant", kwargs={"tenant": _slug(found)})))


def _account(request: HttpRequest, found: Found, *, name: str, password: str | None) -> User:
    """Return the account of the one invited, made now if there is none; one without a password gets this one."""
    user = User.objects.filter(email=found.email).first()
    if user is None:
        return _opened(request, found.email, name=name, password=password)
    if password is not None:
        _give_password(request, user, password)
    return user


def _opened(request: HttpRequest, email: str, *, name: str, password: str | None) -> User:
    """Make the account: one transaction with its record, which is the platform's as the account is in no tenant yet."""
    with tenant_scope(PLATFORM):
        user, created = User.objects.get_or_create(
            email=email, defaults={"name": name, "password": make_password(password)}
        )
        if not created:  # by the same form, sent twice
            raise UnknownInvitation
        journal.record(
            "account.opened",
            stream=user.id,
            actor=f"user:{user.id}",
            subject=f"user:{user.id}",
            facts={"password_set": password is not None},
            payload={"address": client_address(request)},
        )
        return user


def _give_password(request: HttpRequest, user: User, password: str) -> None:
    """Give a password to an account that has none. Lock: the account's row, so that one that is there stays."""
    with records.together(user):
        present = User.objects.select_for_update(no_key=True).get(id=user.id)
        if present.has_usable_password():
            raise UnknownInvitation
        present.set_password(password)
        present.save(update_fields=["password"])
        records.write("password.reset", present, request)


def _slug(found: Found) -> str:
    return tenants.by_id(found.tenant_id).slug


def _inside(found: Found) -> HttpResponse:
    return _used(redirect("console:tenant", tenant=_slug(found)))


def _used(answer: HttpResponse) -> HttpResponse:
    answer.delete_cookie(COOKIE, path=reverse("invitation"))
    return answer

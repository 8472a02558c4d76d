"""The pages about one's own account that allauth has not got, or not as they are wanted here."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from allauth.account import views as account
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes import views as recovery_codes
from allauth.mfa.totp import views as totp
from allauth.mfa.webauthn import views as webauthn
from allauth.usersessions.internal.flows import sessions as ending
from allauth.usersessions.models import UserSession
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse, reverse_lazy
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from signin import mail, records, sessions
from signin.device import remember
from signin.reach import reach_of
from tenants.models import Tenant, User

View = Callable[..., HttpResponseBase]

#: Where a member was led away from to add a second factor, and is led back to.
WANTED = "wanted_at"


def one_change(view: View) -> View:
    """Make a view one transaction with the record of what it changes; for who is signed in only."""

    @never_cache
    @login_required
    @wraps(view)
    def changing(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        with records.together(user_of(request)):
            return view(request, *args, **kwargs)

    return changing


def user_of(request: HttpRequest) -> User:
    """Return who is signed in; raises `Http404` when nobody is."""
    if not isinstance(request.user, User):
        raise Http404
    return request.user


@require_GET
@never_cache
@login_required
def home(request: HttpRequest) -> HttpResponse:
    """Show everything about one's own way in: password, second factors, sessions."""
    user = user_of(request)
    reach = reach_of(request, user)
    factors = list(Authenticator.objects.filter(user=user).order_by("created_at"))
    codes = next((each for each in factors if each.type == Authenticator.Type.RECOVERY_CODES), None)
    tenants = Tenant.objects.filter(id__in=[tenant_id for tenant_id, _ in reach.tenants()]).order_by("name")
    has_factor = user.has_second_factor()
    return render(
        request,
        "account/home.html",
        {
            "own": reach.by_own_means,
            "totp": next((each for each in factors if each.type == Authenticator.Type.TOTP), None),
            "passkeys": [each for each in factors if each.type == Authenticator.Type.WEBAUTHN],
            "codes_left": len(codes.wrap().get_unused_codes()) if codes else 0,
            "has_factor": has_factor,
            "tenants": tenants,
            "asking": [] if has_factor else [tenant for tenant in tenants if tenant.require_mfa],
            "wanted_at": request.session.get(WANTED, "") if has_factor else "",
            "sessions": sessions.of(request, user),
        },
    )


@require_GET
@login_required
def enrol(request: HttpRequest) -> HttpResponse:
    """Lead a member whose tenant asks for a second factor to where one is added; `?next=` is where they wanted to."""
    wanted = request.GET.get("next", "")
    inside = url_has_allowed_host_and_scheme(wanted, allowed_hosts=None) and wanted.startswith("/")
    request.session[WANTED] = wanted if inside else ""
    return redirect("account_home")


@require_POST
@one_change
def end_session(request: HttpRequest, session: int) -> HttpResponseBase:
    """End one of one's own sessions; ending this one is signing out, which has a page."""
    found = UserSession.objects.filter(user=user_of(request), id=session).first()
    if found is None:
        raise Http404
    if found.is_current():
        return redirect("account_logout")
    ending.end_sessions(request, [found])
    return redirect("account_home")


@require_POST
@one_change
def end_other_sessions(request: HttpRequest) -> HttpResponseBase:
    """End all of one's own sessions but this one."""
    ending.end_other_sessions(request, user_of(request))
    return redirect("account_home")


class ChangePassword(account.PasswordChangeView):  # type: ignore[misc]
    """Who never had a password gets one by the link, which shows that the address is theirs."""

    success_url = reverse_lazy("account_home")

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not user_of(request).has_usable_password():
            return redirect("account_reset_password")
        answer: HttpResponseBase = super().dispatch(request, *args, **kwargs)
        return answer

    def get_default_success_url(self) -> str:
        return reverse("account_home")


class ResetPassword(account.PasswordResetFromKeyView):  # type: ignore[misc]
    """Who comes by the link has shown that the account is theirs: the browser is known to it from then on."""

    def form_valid(self, form: Any) -> HttpResponse:
        with records.together(self.reset_user):
            response: HttpResponse = super().form_valid(form)
        list(messages.get_messages(self.request))  # told, as if this browser were signed in still; the page says it all
        remember(self.request, response, self.reset_user.id)
        return response


class _FirstFactorEndsOthers:
    """The first second factor ends the account's other sessions: they never showed one."""

    request: HttpRequest

    def form_valid(self, form: Any) -> HttpResponse:
        user = user_of(self.request)
        first = not user.has_second_factor()
        response: HttpResponse = super().form_valid(form)  # type: ignore[misc]
        if first:
            ending.end_other_sessions(self.request, user)
        return response


class ActivateTotp(_FirstFactorEndsOthers, totp.ActivateTOTPView):  # type: ignore[misc]
    """Adds an authenticator app."""


class AddPasskey(_FirstFactorEndsOthers, webauthn.AddWebAuthnView):  # type: ignore[misc]
    """A passkey signs in by itself, everywhere: a session that a tenant's provider vouched for may not add one."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not reach_of(request, user_of(request)).by_own_means:
            raise Http404
        answer: HttpResponseBase = super().dispatch(request, *args, **kwargs)
        return answer


class RemovePasskey(webauthn.RemoveWebAuthnView):  # type: ignore[misc]
    """Leads back to the account's page."""

    success_url = reverse_lazy("account_home")


class AskForReset(account.PasswordResetView):  # type: ignore[misc]
    """Promises no link where no mail is sent."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not mail.is_on():
            return render(request, "account/password_reset_off.html")
        answer: HttpResponseBase = super().dispatch(request, *args, **kwargs)
        return answer


password_reset = AskForReset.as_view()
password_change = one_change(ChangePassword.as_view())
password_reset_from_key = never_cache(ResetPassword.as_view())
activate_totp = one_change(ActivateTotp.as_view())
deactivate_totp = one_change(totp.deactivate_totp)
add_passkey = one_change(AddPasskey.as_view())
remove_passkey = one_change(RemovePasskey.as_view())
recovery_codes_shown = one_change(recovery_codes.view_recovery_codes)
recovery_codes_made = one_change(recovery_codes.generate_recovery_codes)

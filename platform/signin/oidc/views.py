"""The pages of single sign-on: where to, off to the provider, and back.

A form that is posted may not end at another site (`form-action` of the content security policy, which counts redirects
too), so the way out is a page of ours that leads on by itself.
"""

import secrets
from typing import Any, Final

from allauth.socialaccount.providers.base.constants import AuthProcess
from allauth.socialaccount.providers.oauth2.views import OAuth2CallbackView
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render, resolve_url
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from requests import RequestException

from signin.domains import domain_of
from signin.guesses import TooManyGuesses
from signin.oidc import attempts, installed, refusals
from signin.oidc.adapter import SocialAccountAdapter
from signin.oidc.errors import Refused
from signin.oidc.installed import Door
from signin.oidc.provider import Conversation

_NONCE: Final = "nonce"
_MAX_TYPED: Final = 254


@require_http_methods(["GET", "POST"])
@never_cache
def start(request: HttpRequest) -> HttpResponse:
    """Ask for an e-mail address or a tenant, and lead to its provider; what leads nowhere has one answer for all."""
    typed = request.POST.get("typed", "").strip().lower()[:_MAX_TYPED]
    if request.method == "GET" or not typed:
        return _page(request)
    if "@" in typed:
        door = installed.door_for(domain_of(typed))
        doors = [door] if door else []
    else:
        doors = installed.doors_of(typed)
    if len(doors) == 1:
        return _leave(request, doors[0])
    return _page(request, doors=doors, nowhere=not doors, typed=typed)


@require_GET
@never_cache
def tenant(request: HttpRequest, tenant: str) -> HttpResponse:
    """Show the providers of a tenant; one without any is like one that does not exist."""
    doors = installed.doors_of(tenant)
    return _page(request, doors=doors, nowhere=not doors)


@require_POST
@never_cache
def leave(request: HttpRequest, tenant: str, provider: str) -> HttpResponse:
    """Lead to the provider."""
    door = _door(tenant, provider)
    return _leave(request, door) if door else _page(request, nowhere=True)


@require_GET
@never_cache
def callback(request: HttpRequest, tenant: str, provider: str) -> HttpResponseBase:
    """Take the browser back from the provider, and sign in whom it names."""
    door = _door(tenant, provider)
    if door is None:
        return _page(request, nowhere=True)
    try:
        answer: HttpResponseBase = _Callback.adapter_view(Conversation(request, str(door.id)))(request)
    except (Refused, RequestException) as error:  # those that allauth's view lets through
        return _refused(request, door, error)
    except installed.NotInUse:  # since a moment
        return _page(request, nowhere=True)
    return answer


class _Callback(OAuth2CallbackView):  # type: ignore[misc]
    """allauth's, which hands on the nonce of the state, and looks at who answered (RFC 9207)."""

    def _get_state(self, request: HttpRequest, provider: Any) -> tuple[dict[str, Any] | None, HttpResponse | None]:
        state, response = super()._get_state(request, provider)
        if state is not None:
            self.adapter.nonce = state[_NONCE]
            issuer = provider.app.settings["server_url"]
            if request.GET.get("iss", issuer) != issuer:
                raise Refused("answer_issuer", "The answer is another issuer's.")
        return state, response


def _leave(request: HttpRequest, door: Door) -> HttpResponse:
    nonce = secrets.token_urlsafe(32)
    try:
        counted = attempts.begin(request, door)
        provider = SocialAccountAdapter(request).get_provider(request, str(door.id))
        out = provider.redirect(
            request,
            AuthProcess.LOGIN,
            next_url=_next(request) or resolve_url("console:tenant", tenant=door.tenant),
            auth_params={_NONCE: nonce},
            **{_NONCE: nonce, attempts.COUNTED: counted.kept()},
        )
    except TooManyGuesses as error:
        return refusals.too_many(request, door, error)
    except (Refused, RequestException) as error:
        return _refused(request, door, error)
    except installed.NotInUse:
        return _page(request, nowhere=True)
    return render(request, "signin/sso_leave.html", {"door": door, "url": out.url})


def _refused(request: HttpRequest, door: Door, error: Exception) -> HttpResponse:
    return refusals.answer(request, door.id, refusals.reason_of(error))


def _door(tenant: str, provider: str) -> Door | None:
    return next((door for door in installed.doors_of(tenant) if door.slug == provider), None)


def _page(
    request: HttpRequest, *, doors: list[Door] | None = None, nowhere: bool = False, typed: str = ""
) -> HttpResponse:
    context = {"doors": doors, "nowhere": nowhere, "typed": typed, "next": _next(request)}
    return render(request, "signin/sso.html", context, status=404 if nowhere else 200)


def _next(request: HttpRequest) -> str:
    """Return where to go afterwards: a page of ours, or "" ."""
    wanted = request.POST.get("next") or request.GET.get("next") or ""
    inside = wanted.startswith("/") and url_has_allowed_host_and_scheme(wanted, allowed_hosts=None)
    return wanted if inside else ""

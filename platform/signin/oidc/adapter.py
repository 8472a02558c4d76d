"""How allauth's social accounts behave here: providers are tenants', calls are guarded, nobody signs up."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from allauth.core.exceptions import ImmediateHttpResponse
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.models import SocialApp, SocialLogin
from allauth.socialaccount.providers.base.constants import AuthError
from django.http import HttpRequest
from requests import Session

from signin.oidc import attempts, installed, linking, refusals, transport
from signin.oidc.errors import NotAdmitted
from signin.oidc.provider import Provider
from signin.reach import reach_of
from tenants.models import User


class SocialAccountAdapter(DefaultSocialAccountAdapter):  # type: ignore[misc]
    """Finds a provider by its id, and decides whom it may bring in."""

    def get_provider(self, request: HttpRequest, provider: str, client_id: str | None = None) -> Provider:
        return Provider(request, app=self.get_app(request, provider, client_id))

    def get_app(self, request: HttpRequest, provider: str, client_id: str | None = None) -> SocialApp:
        return installed.app(UUID(provider))

    def list_apps(self, request: HttpRequest, provider: str | None = None, client_id: str | None = None) -> list[Any]:
        return []

    def get_requests_session(self) -> Session:
        return transport.session()

    def is_open_for_signup(self, request: HttpRequest, sociallogin: SocialLogin) -> bool:
        return False

    def pre_social_login(self, request: HttpRequest, sociallogin: SocialLogin) -> None:
        """Lead to the account of the person the provider has named; raises `NotAdmitted`."""
        door = installed.door(UUID(sociallogin.account.provider))
        if door is None:
            raise NotAdmitted("not_a_member")
        user = request.user if isinstance(request.user, User) else None
        present = user if user is not None and reach_of(request, user).by_own_means else None
        sociallogin.account = linking.account_of(door, sociallogin.claims, present=present)
        sociallogin.user = sociallogin.account.user
        attempts.finished(sociallogin.state)
        sociallogin.token = None  # it was for the questions above; a sign-in that waits must not keep it

    def on_authentication_error(
        self,
        request: HttpRequest,
        provider: Provider,
        error: str = AuthError.UNKNOWN,
        exception: Exception | None = None,
        extra_context: Mapping[str, Any] | None = None,
    ) -> None:
        """Answer with our own page, after a record."""
        begun = bool((extra_context or {}).get("state"))
        if exception is not None:
            reason = refusals.reason_of(exception)
        elif not begun:
            reason = refusals.UNASKED
        else:
            reason = "cancelled" if error == AuthError.CANCELLED else "provider_error"
        raise ImmediateHttpResponse(refusals.answer(request, UUID(provider.app.provider_id), reason))

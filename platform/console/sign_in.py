"""How people sign in: allauth, with e-mail and password; accounts are made by a tenant's owner only."""

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.auth_backends import AuthenticationBackend
from django.http import HttpRequest


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    """Closes sign-up."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False


class PeopleBackend(AuthenticationBackend):  # type: ignore[misc]
    """Lets active people in; a service's account holds keys and never signs in, whatever its password."""

    def user_can_authenticate(self, user: Any) -> bool:
        return super().user_can_authenticate(user) and not user.is_service

"""Who may sign in with a password."""

from typing import Any

from allauth.account.auth_backends import AuthenticationBackend


class PeopleBackend(AuthenticationBackend):  # type: ignore[misc]
    """Lets active people in; a service's account holds keys and never signs in, whatever its password."""

    def user_can_authenticate(self, user: Any) -> bool:
        return super().user_can_authenticate(user) and not user.is_service

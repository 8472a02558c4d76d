"""How allauth behaves here; accounts are made by a tenant's owner only."""

from typing import Any, ClassVar, Final

from allauth.account.adapter import DefaultAccountAdapter
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from django.http import HttpRequest, HttpResponse

from db.scope import PLATFORM
from quotas.addresses import UNKNOWN, client_address
from signin import guesses, letters
from signin.device import remember
from signin.reach import reach_of
from signin.second_factor import SEALED_AS
from tenants.models import User
from vault.ring import keyring

#: Stands for the address of a peer that has none, such as a socket file's.
NO_ADDRESS: Final = "0.0.0.0"  # noqa: S104 - nothing listens there


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    """Closes sign-up, bounds guesses, keeps services out, remembers browsers, and hands mail to the workers."""

    error_messages: ClassVar[dict[str, Any]] = DefaultAccountAdapter.error_messages | {
        "too_many_login_attempts": (
            "Too many failed login attempts. Wait a while, use a passkey, or ask for a link to a new password."
        ),
        "enter_current_password": "This is not your current password.",
        "incorrect_password": "This is not your password.",
        "incorrect_code": "This code is not right. A code is good for a short time and once only.",
    }

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def get_client_ip(self, request: HttpRequest) -> str:
        address = client_address(request)
        return NO_ADDRESS if address == UNKNOWN else address

    def authenticate(self, request: HttpRequest, **credentials: Any) -> User | None:
        """Count the attempt before it is looked at; one that was right is given back."""
        login = str(credentials.get("email") or "")
        user = User.objects.filter(email=login.strip().lower()).first()
        try:
            guess = guesses.begin(request, of="password", login=login, user=user)
        except guesses.TooManyGuesses as error:
            raise self.validation_error("too_many_login_attempts") from error
        found: User | None = super().authenticate(request, **credentials)
        if found is not None:
            guess.was_right()
        return found

    def pre_login(self, request: HttpRequest, user: User, **how: Any) -> HttpResponse | None:
        if user.is_service:
            refused: HttpResponse = self.respond_user_inactive(request, user)
            return refused
        answer: HttpResponse | None = super().pre_login(request, user, **how)
        return answer

    def post_login(self, request: HttpRequest, user: User, **how: Any) -> HttpResponse:
        response: HttpResponse = super().post_login(request, user, **how)
        # A provider's word makes no browser known to the account, but to the provider.
        for known_to in reach_of(request, user).providers or (user.id,):
            remember(request, response, known_to)
        return response

    def send_notification_mail(self, template_prefix: str, user: User, *_: Any, **__: Any) -> None:
        letters.tell(user, of=template_prefix.rpartition("/")[2])


class SecondFactorAdapter(DefaultMFAAdapter):  # type: ignore[misc]
    """Keeps second factors' secrets encrypted, and says whose they are."""

    error_messages: ClassVar[dict[str, Any]] = DefaultMFAAdapter.error_messages | {
        "incorrect_code": AccountAdapter.error_messages["incorrect_code"]
    }

    def encrypt(self, text: str) -> str:
        return keyring().seal(text, tenant_id=PLATFORM, name=SEALED_AS)

    def decrypt(self, encrypted_text: str) -> str:
        return keyring().open(encrypted_text, tenant_id=PLATFORM, name=SEALED_AS)

    def generate_authenticator_name(self, user: User, type: Authenticator.Type) -> str:  # noqa: A002 - allauth's name
        return f"Passkey {Authenticator.objects.filter(user_id=user.pk, type=type).count() + 1}"

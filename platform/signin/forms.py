"""Allauth's forms where guesses are bounded, and where a link is asked for."""

from allauth.account.adapter import get_adapter
from allauth.account.forms import ChangePasswordForm, ResetPasswordForm
from allauth.core import context, ratelimit
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.mfa.adapter import get_adapter as get_mfa_adapter
from allauth.mfa.base.forms import AuthenticateForm, ReauthenticateForm
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.forms import ActivateTOTPForm
from django.conf import settings
from django.core.cache import cache
from django.http import HttpRequest

from signin import guesses, letters
from tenants.models import User


def _begin(of: str, user: User) -> guesses.Guess:
    try:
        return guesses.begin(context.request, of=of, login=user.email, user=user)
    except guesses.TooManyGuesses as error:
        raise get_adapter().validation_error("too_many_login_attempts") from error


class BoundedPasswordChange(ChangePasswordForm):  # type: ignore[misc]
    """A new password for who knows the present one; guessing at that is bounded like signing in."""

    def clean_oldpassword(self) -> str:
        guess = _begin("password", self.user)
        typed: str = super().clean_oldpassword()
        guess.was_right()
        return typed


class _Bounded:
    """A code, guesses at which are bounded, and which is good once for as long as it is good at all."""

    user: User
    authenticator: Authenticator

    def clean_code(self) -> str:
        guess = _begin("code", self.user)
        typed: str = super().clean_code()  # type: ignore[misc]
        guess.was_right()
        if self.authenticator.type == Authenticator.Type.TOTP:
            _use_up(self.user, typed)
        return typed


def _use_up(user: User, typed: str) -> None:
    # Allauth forgets a code after one period; with the tolerance it is good for longer.
    good_for_s = settings.MFA_TOTP_PERIOD * (2 * settings.MFA_TOTP_TOLERANCE + 1)
    digits = "".join(letter for letter in typed if letter.isalnum())
    if not cache.add(f"signin:code:{user.id}:{digits}", 1, timeout=good_for_s):
        raise get_mfa_adapter().validation_error("incorrect_code")


class BoundedCode(_Bounded, AuthenticateForm):  # type: ignore[misc]
    """A code at sign-in."""


class BoundedCodeAgain(_Bounded, ReauthenticateForm):  # type: ignore[misc]
    """A code before something about the account is changed."""


class BoundedFirstCode(ActivateTOTPForm):  # type: ignore[misc]
    """The code that shows that an authenticator app was set up; it opens nothing afterwards."""

    def clean_code(self) -> str:
        guess = _begin("code", self.user)
        typed: str = super().clean_code()
        guess.was_right()
        _use_up(self.user, typed)
        return typed


class AskForReset(ResetPasswordForm):  # type: ignore[misc]
    """Asks for a link to a new password, and answers alike whether or not the address is anybody's."""

    def clean_email(self) -> str:
        return str(self.cleaned_data["email"]).strip().lower()

    def save(self, request: HttpRequest, **_: object) -> str:
        email = str(self.cleaned_data["email"])
        try:
            letters.ask_for_reset(request, User.objects.filter(email=email).first())
        except letters.TooManyLinks as error:
            raise ImmediateHttpResponse(ratelimit.respond_429(request)) from error
        return email

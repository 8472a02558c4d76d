"""Allauth's forms where guesses are bounded, and where a link is asked for."""

from allauth.account.adapter import get_adapter
from allauth.account.forms import ChangePasswordForm, ResetPasswordForm
from allauth.core import context
from allauth.mfa.base.forms import AuthenticateForm, ReauthenticateForm
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


class BoundedCode(AuthenticateForm):  # type: ignore[misc]
    """A code at sign-in."""

    def clean_code(self) -> str:
        guess = _begin("code", self.user)
        typed: str = super().clean_code()
        guess.was_right()
        return typed


class BoundedCodeAgain(ReauthenticateForm):  # type: ignore[misc]
    """A code before something about the account is changed."""

    def clean_code(self) -> str:
        guess = _begin("code", self.user)
        typed: str = super().clean_code()
        guess.was_right()
        return typed


class AskForReset(ResetPasswordForm):  # type: ignore[misc]
    """Asks for a link to a new password, and answers alike whether or not the address is anybody's."""

    def clean_email(self) -> str:
        return str(self.cleaned_data["email"]).strip().lower()

    def save(self, request: HttpRequest, **_: object) -> str:
        email = str(self.cleaned_data["email"])
        letters.ask_for_reset(User.objects.filter(email=email).first())
        return email

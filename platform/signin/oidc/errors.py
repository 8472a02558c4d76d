"""Why somebody was not signed in through an identity provider."""

from typing import ClassVar

from allauth.socialaccount.providers.oauth2.client import OAuth2Error
from requests import RequestException


class Refused(OAuth2Error):  # type: ignore[misc]
    """The provider's answer cannot be used.

    reason: a stable code, for the record, the log and the page. detail: a sentence for the log, without secrets.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(detail or reason)
        self.reason = reason


class NotAdmitted(Refused):
    """The provider is believed, but this person does not come in; the docstring of `reason` is what they read."""

    WORDS: ClassVar[dict[str, str]] = {
        "email_unverified": "The provider does not vouch for your e-mail address.",
        "email_domain": "The provider does not answer for the domain of your e-mail address.",
        "not_a_member": "You are not a member here. Ask an owner of your tenant to invite you.",
        "other_provider": (
            "Your account is bound to another provider. Sign in with your password or passkey first, then come by this"
            " one; or ask whoever runs this installation."
        ),
        "other_identity": "Your account is bound to another identity of this provider. Ask an owner of your tenant.",
    }


class CallFailed(RequestException):
    """A call to the provider did not succeed, or brought something that is not a JSON object."""

    reason = "provider_unreachable"

"""Invitations by e-mail. Plain text.

Sent by the process that made the token, for the token is kept nowhere, in no queue either.
"""

import logging
from smtplib import SMTPException

from django.conf import settings
from django.core.mail import EmailMessage
from django.template.loader import render_to_string
from django.urls import reverse

from config.email import OFF
from tenants.models import Invitation, Tenant

_logger = logging.getLogger(__name__)


def is_on() -> bool:
    """Say whether this installation sends mail at all (`EMAIL_URL=off` sends none)."""
    return bool(settings.EMAIL_BACKEND != OFF)


def send_invitation(invitation: Invitation, token: str, *, tenant: Tenant) -> bool:
    """Send the link to the one invited; say whether the mail server took it. Call it when the invitation is committed.

    A mail that cannot be sent is logged, without the address and the link; inviting again makes a new one.
    """
    if not is_on():
        _logger.warning(
            "The invitation %s was not sent: EMAIL_URL is off. `tenant invite` prints a link.", invitation.id
        )
        return False
    context = {
        "tenant": tenant.name,
        "host": settings.BASE_URL,
        "role": invitation.role,
        "expires_at": invitation.expires_at,
        "link": settings.BASE_URL + reverse("invitation_link", kwargs={"token": token}),
    }
    subject = " ".join(render_to_string("signin/email/invitation_subject.txt", context).split())
    text = render_to_string("signin/email/invitation_message.txt", context).strip() + "\n"
    try:
        EmailMessage(subject, text, to=[invitation.email]).send()
    except (SMTPException, OSError) as error:
        _logger.error("The invitation %s was not sent: %s", invitation.id, type(error).__name__)
        return False
    return True

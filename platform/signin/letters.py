"""E-mail about somebody's way in: links to a new password, and word of each change. Plain text.

A worker sends it. So the page answers as quickly for an address nobody has as for one that somebody has, and a mail
server that is slow or away holds up nobody. The queue holds the id of the account, not its address and not the link.
"""

from typing import Final
from uuid import UUID

from allauth.account.forms import default_token_generator
from allauth.account.utils import user_pk_to_url_str
from allauth.socialaccount.models import SocialAccount
from django.conf import settings
from django.core.mail import EmailMessage
from django.template.loader import render_to_string
from django.urls import reverse
from django_q.tasks import async_task

from db.models import new_id
from tenants.models import User

#: The queue for short jobs.
_QUEUE: Final = "jobs"

#: What people are told of; the names are allauth's where the change is made through it.
NOTICES: Final = frozenset(
    {
        "password_changed",
        "password_reset",
        "totp_activated",
        "totp_deactivated",
        "webauthn_added",
        "webauthn_removed",
        "recovery_codes_generated",
        "second_factors_taken",
    }
)


def ask_for_reset(user: User | None) -> None:
    """Have a link sent if the account may have one; for an unknown address the same is done with nobody's id."""
    async_task("signin.letters.send_reset", str(user.id if user else new_id()), cluster=_QUEUE)


def tell(user: User, *, of: str) -> None:
    """Have the person told of a change when it is committed."""
    if of in NOTICES:
        async_task("signin.letters.send_notice", str(user.id), of, cluster=_QUEUE)


def send_reset(user_id: str) -> None:
    """Send the link, unless the account is none that a password opens; the worker's task."""
    user = User.objects.filter(id=UUID(user_id)).first()
    if user is None or not may_reset(user):
        return
    key = default_token_generator.make_token(user)
    path = reverse("account_reset_password_from_key", kwargs={"uidb36": user_pk_to_url_str(user), "key": key})
    _send(user, "password_reset_key", link=settings.BASE_URL.rstrip("/") + path)


def send_notice(user_id: str, of: str) -> None:
    """Tell the person of a change; the worker's task."""
    user = User.objects.filter(id=UUID(user_id), is_active=True).first()
    if user is not None:
        _send(user, of, link=settings.BASE_URL.rstrip("/") + reverse("account_home"))


def may_reset(user: User) -> bool:
    """Say whether a link may give this account a new password: a person's, open, and not a provider's alone."""
    if not user.is_active or user.is_service:
        return False
    return user.has_usable_password() or not SocialAccount.objects.filter(user_id=user.pk).exists()


def _send(user: User, name: str, *, link: str) -> None:
    context = {"user": user, "link": link, "hours": settings.PASSWORD_RESET_TIMEOUT // 3600, "host": settings.BASE_URL}
    subject = render_to_string(f"account/email/{name}_subject.txt", context)
    text = render_to_string(f"account/email/{name}_message.txt", context)
    EmailMessage(" ".join(subject.split()), text.strip() + "\n", to=[user.email]).send()

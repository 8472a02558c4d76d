"""E-mail about somebody's way in: links to a new password, and word of each change. Plain text.

A thread of the process sends it once the change is committed. So the page answers as quickly for an address nobody has
as for one that somebody has, and a mail server that is slow or away holds up nobody. A letter that can't be sent is
logged, without address and link, and not tried again: whoever waits for a link asks for another one.

Anybody can ask for links, so there are only so many: of each address and account as allauth counts them, in a minute
over all, and waiting at once. Beyond that the page says so, to everybody alike, and nobody's link lies behind hours of
others'. Word of a change has a place of its own in the queue.
"""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Final
from uuid import UUID

from allauth.account.forms import default_token_generator
from allauth.account.utils import user_pk_to_url_str
from allauth.core.internal import ratelimit
from django.conf import settings
from django.core.mail import EmailMessage
from django.db import connections, transaction
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.urls import reverse

from db.models import new_id
from signin.reach import only_by_provider
from tenants.models import User

_logger = logging.getLogger(__name__)

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
        "identity_bound",
    }
)

#: Links asked for in a minute, over all; and letters that wait at once: a mail server that is away costs each 20 s.
LINKS: Final = {"links": "120/60s/key"}
LINKS_WAITING: Final = 50
NOTICES_WAITING: Final = 1000

_links = threading.BoundedSemaphore(LINKS_WAITING)
_notices = threading.BoundedSemaphore(NOTICES_WAITING)


class TooManyLinks(Exception):
    """More links were asked for than can be sent soon."""


def ask_for_reset(request: HttpRequest, user: User | None) -> None:
    """Have a link sent if the account may have one; for an unknown address the same is done with nobody's id.

    Raises `TooManyLinks`, whoever asks.
    """
    if not _links.acquire(blocking=False):
        raise TooManyLinks
    _links.release()
    if ratelimit.consume(request, app="signin", action="links", config=LINKS, key="all") is None:
        raise TooManyLinks
    _post(_send_reset, user.id if user else new_id(), place=_links)


def tell(user: User, *, of: str, **words: str) -> None:
    """Have the person told of a change when it is committed. words: what else the letter names."""
    if of in NOTICES:
        _post(lambda user_id: _send_notice(user_id, of, words), user.id, place=_notices)


@lru_cache(maxsize=1)
def office() -> ThreadPoolExecutor:
    """Return this process's sender: one letter at a time, in the order they were posted."""
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="letters")


def _post(send: Callable[[UUID], None], user_id: UUID, *, place: threading.Semaphore) -> None:
    def post() -> None:
        if place.acquire(blocking=False):
            office().submit(_try, send, user_id, place)
        else:
            _logger.error("A letter to user %s was not sent: too many are waiting", user_id)

    transaction.on_commit(post)


def _try(send: Callable[[UUID], None], user_id: UUID, place: threading.Semaphore) -> None:
    try:
        send(user_id)
    except Exception as error:  # whatever it was, nobody else is there to hear of it
        _logger.error("A letter to user %s was not sent: %s", user_id, type(error).__name__)
    finally:
        place.release()
        connections.close_all()


def _send_reset(user_id: UUID) -> None:
    user = User.objects.filter(id=user_id).first()
    if user is None or not may_reset(user):
        return
    key = default_token_generator.make_token(user)
    path = reverse("account_reset_password_from_key", kwargs={"uidb36": user_pk_to_url_str(user), "key": key})
    _send(user, "password_reset_key", link=settings.BASE_URL.rstrip("/") + path)


def _send_notice(user_id: UUID, of: str, words: dict[str, str]) -> None:
    user = User.objects.filter(id=user_id, is_active=True).first()
    if user is not None:
        _send(user, of, link=settings.BASE_URL.rstrip("/") + reverse("account_home"), **words)


def may_reset(user: User) -> bool:
    """Say whether a link may give this account a new password: a person's, open, and not a provider's alone."""
    if not user.is_active or user.is_service:
        return False
    return not only_by_provider(user)


def _send(user: User, name: str, *, link: str, **words: str) -> None:
    context = {
        **words,
        "user": user,
        "link": link,
        "hours": settings.PASSWORD_RESET_TIMEOUT // 3600,
        "host": settings.BASE_URL,
    }
    subject = render_to_string(f"account/email/{name}_subject.txt", context)
    text = render_to_string(f"account/email/{name}_message.txt", context)
    EmailMessage(" ".join(subject.split()), text.strip() + "\n", to=[user.email]).send()

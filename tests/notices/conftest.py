"""A tenant, its people, and a mail server for what they are written."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.utils import timezone

from db.scope import tenant_scope
from escalations.models import Escalation
from notices import addressing, gathering, sending
from notices.models import Happening, Letter, Notice
from tenants.principal import Principal
from tests.escalations.asking import mail, paying, queue
from tests.notices.postbox import Postbox, open_postbox
from tests.worlds import World, world

SMTP = "django.core.mail.backends.smtp.EmailBackend"


@pytest.fixture
def postbox(settings: Any) -> Iterator[Postbox]:
    """The installation's mail server."""
    with open_postbox() as box:
        by_smtp(settings, box.port)
        yield box


def by_smtp(settings: Any, port: int) -> None:
    """Let letters go to this port of loopback."""
    settings.EMAIL_BACKEND, settings.EMAIL_HOST, settings.EMAIL_PORT = SMTP, "127.0.0.1", port
    settings.EMAIL_USE_TLS = settings.EMAIL_USE_SSL = False
    settings.EMAIL_TIMEOUT = 5


@pytest.fixture
def acme(database: None) -> World:
    """A fresh tenant."""
    return world()


@pytest.fixture
def asked(acme: World) -> Escalation:
    """What Rita's queue is asked for Alice."""
    queue(acme, "credit", "rita")
    return paying(acme, "lender", queue="credit")


def prefer(acme: World, who: Principal, mode: str, **more: Any) -> None:
    """Let somebody want to be written to so."""
    from notices.actions import preferences

    preferences.put(mode, more.get("hour", 8), more.get("time_zone", "UTC"), acting_as=who)


def deliver(acme: World) -> None:
    """Do what the chores do, for this tenant alone."""
    address(acme)
    gather(acme)
    send(acme)


def address(acme: World) -> None:
    _each(acme, lambda: Happening.objects.order_by("at", "id").values_list("id", flat=True), addressing.address)


def gather(acme: World) -> None:
    _each(acme, lambda: Notice.objects.filter(letter=None).values_list("user_id", flat=True), gathering.gather)


def send(acme: World) -> None:
    """Send every letter whose time has come."""
    with tenant_scope(acme.tenant_id):
        due = Letter.objects.filter(next_at__lte=timezone.now()).order_by("created_at", "id")
        taken = [(acme.tenant_id, each.id, each.attempts + 1) for each in due]
        for _, letter_id, attempts in taken:
            Letter.objects.filter(id=letter_id).update(attempts=attempts)
    sending.send_all(taken)


def letters(acme: World) -> list[Letter]:
    with tenant_scope(acme.tenant_id):
        return list(Letter.objects.order_by("created_at", "id"))


def _each(acme: World, ids: Callable[[], Any], do: Callable[[Any], Any]) -> None:
    with tenant_scope(acme.tenant_id):
        found = list(dict.fromkeys(ids()))
    for one in found:
        with tenant_scope(acme.tenant_id):
            do(one)


def to(acme: World, postbox: Postbox, name: str) -> list[str]:
    """Return the texts of what a member was sent."""
    return [str(letter.get_content()) for letter in postbox.to(mail(acme, name))]

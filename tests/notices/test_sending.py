"""A letter is sent once, whoever is at work and whoever dies; a mail server that is away hinders nothing else."""

import threading
from datetime import timedelta
from typing import Any

from django.db import connections
from django.utils import timezone

from db.scope import tenant_scope
from escalations.models import Escalation
from notices import addressing, gathering, sending
from notices.models import Happening, Letter, Notice
from tests.escalations.asking import mail
from tests.notices.conftest import address, by_smtp, deliver, gather, letters, send
from tests.notices.postbox import Postbox, open_postbox
from tests.ports import free_port
from tests.worlds import World


def test_many_who_look_at_once_make_and_send_one_letter(acme: World, asked: Escalation, postbox: Postbox) -> None:
    """Eight at a time, each as a worker's chores do it."""
    for chore in (addressing.address_all, gathering.gather_all, lambda: sending.send_all(sending.take())):
        together(chore, 8)

    assert len(postbox.to(mail(acme, "rita"))) == 1
    with tenant_scope(acme.tenant_id):
        assert (Happening.objects.count(), Notice.objects.count(), Letter.objects.count()) == (0, 1, 1)


def together(chore: Any, workers: int) -> None:
    ready = threading.Barrier(workers)

    def look() -> None:
        ready.wait()
        try:
            chore()
        finally:
            connections.close_all()

    threads = [threading.Thread(target=look) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_who_was_frozen_too_long_finds_the_letter_taken_and_sends_nothing(
    acme: World, asked: Escalation, postbox: Postbox
) -> None:
    address(acme)
    gather(acme)
    [letter] = letters(acme)
    with tenant_scope(acme.tenant_id):
        Letter.objects.update(attempts=1, next_at=timezone.now())
    send(acme)

    sending.send_all([(acme.tenant_id, letter.id, 1)])

    assert len(postbox.came) == 1


def test_a_letter_nobody_could_write_down_as_sent_is_the_same_letter_again(
    acme: World, asked: Escalation, postbox: Postbox
) -> None:
    deliver(acme)
    with tenant_scope(acme.tenant_id):  # as if the worker had died between the server's yes and its own commit
        Letter.objects.update(status="pending", next_at=timezone.now())
    send(acme)

    first, second = (letter["Message-ID"] for _, letter in postbox.came)
    assert first == second


def test_while_mail_is_away_it_is_tried_ever_less_often_and_then_sent(
    acme: World, asked: Escalation, settings: Any
) -> None:
    port = free_port()
    by_smtp(settings, port)
    deliver(acme)
    [letter] = letters(acme)
    assert (letter.status, letter.error) == ("pending", "ConnectionRefusedError")
    assert letter.next_at is not None
    pauses = []
    for _ in range(9):
        comes(acme)
        send(acme)
        [letter] = letters(acme)
        assert letter.next_at is not None
        pauses.append((letter.next_at - timezone.now()).total_seconds())
    assert pauses[0] < 30
    assert 5000 < pauses[-1] <= 2 * 3600 * 1.25

    with open_postbox(port) as box:
        comes(acme)
        send(acme)

    assert [recipient for recipient, _ in box.came] == [mail(acme, "rita")]
    assert [each.status for each in letters(acme)] == ["sent"]


def test_an_address_that_takes_nothing_is_given_up_and_the_others_are_sent(
    acme: World, asked: Escalation, postbox: Postbox
) -> None:
    postbox.refuses = ["550 nobody here"]
    deliver(acme)

    assert [(each.status, each.error) for each in letters(acme)] == [("failed", "SMTPRecipientsRefused")]


def test_what_the_server_puts_off_is_tried_again(acme: World, asked: Escalation, postbox: Postbox) -> None:
    postbox.refuses = ["450 later"]
    deliver(acme)
    assert [each.status for each in letters(acme)] == ["pending"]
    comes(acme)
    send(acme)

    assert [each.status for each in letters(acme)] == ["sent"]


def test_what_is_over_for_long_is_let_go(acme: World, asked: Escalation, postbox: Postbox) -> None:
    with tenant_scope(acme.tenant_id):
        old = timezone.now() - timedelta(days=31)
        Letter.objects.create(user_id=acme.rita.user_id, status="sent", created_at=old)
    deliver(acme)

    assert len(letters(acme)) == 1


def comes(acme: World) -> None:
    """Let the time of the next attempt be now."""
    with tenant_scope(acme.tenant_id):
        Letter.objects.filter(next_at__isnull=False).update(next_at=timezone.now())

"""Checkpoints leave by mail: at their time, when the keys change, and after the mail server was away."""

import logging
from pathlib import Path
from typing import Any

import pytest

from audit.log import note
from audit.log.checkpoint import Checkpoint
from audit.log.note import VerifierKey
from audit.stored import execute
from checkpoints import figures, letters
from checkpoints.letters import CUT, Told
from config.checkpoints import Recipient
from config.email import OFF
from db.roles import seal
from tests.audit.exports import bundles
from tests.audit.sealer import logs
from tests.checkpoints.conftest import Clock, grow
from tests.checkpoints.mail import Mail
from tests.worlds import World, world


def send_due(clock: Clock) -> int:
    """Send what is due; returns how many recipients were written to."""
    return sum(letters.send(recipient, clock) for recipient in letters.due(clock()))


def late(clock: Clock) -> float:
    with seal():
        return figures.late(clock())


def test_a_letter_holds_the_signed_note_and_how_to_check(
    acme: World, mail: Mail, clock: Clock, settings: Any, tmp_path: Path
) -> None:
    world()
    assert send_due(clock) == 1

    [letter] = mail.letters
    assert (letter["To"], letter["Subject"]) == ("auditor@example.org", "Checkpoints of localhost:8000")
    [text] = mail.texts()
    held = text.split(f"{CUT}\n")[1].encode()
    head = logs.signed(acme)
    assert held == head.note
    [key] = [VerifierKey.parse(line.split()[1]) for line in text.splitlines() if line.startswith("Keys: ")]
    opened, _ = note.opened(held, [key])
    assert Checkpoint.parse(opened.text) == head.head
    assert "--checkpoint checkpoint" in text
    grow(acme, 5)
    bundles.export(acme, tmp_path / "b")
    assert bundles.verified(acme, tmp_path / "b", held=held).problems == []  # as the letter says


def test_the_next_one_goes_out_a_day_later(acme: World, mail: Mail, clock: Clock, settings: Any) -> None:
    assert send_due(clock) == 1
    for hours, sent in ((1, 0), (22.9, 0), (0.1, 1), (23.9, 0), (0.2, 1)):
        clock.passes(hours=hours)
        assert send_due(clock) == sent
    settings.CHECKPOINT_MAIL_HOURS = 1
    clock.passes(hours=24)
    assert send_due(clock) == 1
    clock.passes(hours=1)
    assert send_due(clock) == 1


def test_new_keys_are_told_at_once_and_once(acme: World, mail: Mail, clock: Clock, settings: Any) -> None:
    former = settings.AUDIT_SIGNING_KEYS
    assert send_due(clock) == 1
    for keys, sent in (((bytes([9]) * 32, *former), 1), (former, 0), ((bytes([9]) * 32, *former), 0)):
        clock.passes(minutes=1)
        settings.AUDIT_SIGNING_KEYS = keys  # while it is rolled out, some processes have the former ones
        assert send_due(clock) == sent

    told = [line for line in mail.texts()[-1].splitlines() if line.startswith("Keys: ")]
    assert len(told) == len(former) + 1


def test_nobody_is_told_of_nothing_or_of_another_tenant(acme: World, mail: Mail, clock: Clock, settings: Any) -> None:
    other = world()
    settings.CHECKPOINT_MAIL = (Recipient(other.slug, "theirs@example.org"),)
    assert send_due(clock) == 0  # nothing of it is signed yet
    assert late(clock) == 0
    grow(other, 1)
    clock.passes(minutes=1)
    assert send_due(clock) == 1
    assert [line for line in mail.texts()[0].splitlines() if line.startswith("Log: ")] == [
        f"Log:    localhost:8000/log/{other.tenant_id}"
    ]


def test_who_names_no_log_is_told_of_all(acme: World, mail: Mail, clock: Clock, settings: Any) -> None:
    grow(world(), 1)
    settings.CHECKPOINT_MAIL = (Recipient("", "all@example.org"),)

    assert send_due(clock) == 1
    with seal():
        [[logs_signed]] = execute("SELECT count(DISTINCT tenant_id) FROM audit_checkpoint", {})
    assert mail.texts()[0].count("\nLog: ") == logs_signed


def test_many_logs_are_several_letters(acme: World) -> None:
    head = logs.signed(acme)
    one = Told(head.head.origin, head.head.size, head.at, head.note.decode(), ("a key",))

    made = letters.letters([one] * 250)

    assert [subject for subject, _ in made] == [f"Checkpoints of localhost:8000 ({n} of 3)" for n in (1, 2, 3)]
    assert sum(text.count(CUT) for _, text in made) == 2 * 250


@pytest.mark.parametrize("fault", ["451 later", "550 no such person", "closed", "off", "no such tenant"])
def test_what_cannot_be_sent_is_sent_later_and_once(
    acme: World, mail: Mail, clock: Clock, settings: Any, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    port, backend, set_up = settings.EMAIL_PORT, settings.EMAIL_BACKEND, settings.CHECKPOINT_MAIL
    if fault == "closed":
        settings.EMAIL_PORT = 1
    elif fault == "off":
        settings.EMAIL_BACKEND = OFF
    elif fault == "no such tenant":
        settings.CHECKPOINT_MAIL = (Recipient("nobody-of-that-name", "auditor@example.org"),)
    else:
        mail.answer = fault
    with caplog.at_level(logging.ERROR, "checkpoints"):
        for _ in range(3):
            assert send_due(clock) == 0
            clock.passes(minutes=30)
    [told] = [record.getMessage() for record in caplog.records]
    assert "checkpoints were not mailed" in told
    assert "auditor@example.org" not in told
    assert late(clock) == 90 * 60

    settings.EMAIL_PORT, settings.EMAIL_BACKEND, mail.answer = port, backend, "250 taken"
    settings.CHECKPOINT_MAIL = set_up
    assert send_due(clock) == 1
    assert len(mail.letters) == 1
    assert late(clock) == 0


def test_a_log_that_was_altered_is_told_as_such(acme: World, mail: Mail, clock: Clock, superuser: Any) -> None:
    with superuser.transaction():
        superuser.execute("SET LOCAL session_replication_role = replica")
        superuser.execute("UPDATE audit_leaf SET hash = sha256(hash) WHERE tenant_id = %s", [acme.tenant_id])

    assert send_due(clock) == 1
    assert "Its checkpoint is not what was signed." in mail.texts()[0]
    assert CUT not in mail.texts()[0]


def test_no_address_is_kept(acme: World, mail: Mail, clock: Clock) -> None:
    send_due(clock)

    with seal():
        kept = execute("SELECT m::text FROM checkpoints_mailing m", {})
    assert len(kept) == 1
    assert "@" not in str(kept)

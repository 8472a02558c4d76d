"""Row 33: a witness and the mail are down for a day. Appends go on, an alert tells of it, one request catches up."""

import logging
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as installed

from audit.log import note
from audit.log.note import VerifierKey
from checkpoints import figures
from checkpoints.beside import Messengers
from db.roles import seal
from db.scope import tenant_scope
from tests.audit.sealer import logs
from tests.checkpoints.conftest import Clock, acme, clock, grow, mail, setting, witness
from tests.checkpoints.mail import Mail
from tests.checkpoints.witness import Witness
from tests.worlds import World

__all__ = ["acme", "clock", "mail", "witness"]

MANUAL = Path(installed.BASE_DIR) / "docs" / "running.md"


def alerts(clock: Clock) -> set[str]:
    """Return which of the manual's alerts about what leaves the building fire, by the figures that `/metrics` tells."""
    with seal():
        told = figures.witnesses(clock())
        values = {
            "witness_behind_seconds": max(behind for _, behind, _ in told),
            "witness_refused_logs": max(refused for _, _, refused in told),
            "checkpoint_mail_late_seconds": figures.late(clock()),
        }
    rules = re.findall(r"alert: (\w+), expr: 'countersign_(\w+) > (\d+)'", MANUAL.read_text())
    found = [(alert, values[name], int(bound)) for alert, name, bound in rules if name in values]
    assert len(found) == len(values)
    return {alert for alert, value, bound in found if value > bound}


def test_appends_go_on_and_what_was_missed_is_caught_up_with_at_once(
    acme: World, witness: Witness, mail: Mail, clock: Clock, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    messengers = Messengers()

    def look() -> None:
        messengers.send_due(clock)
        messengers.close()

    look()
    before = logs.signed(acme).head.size
    assert [asked.size for asked in witness.asked] == [before]
    assert len(mail.letters) == 1
    assert alerts(clock) == set()
    clock.passes(minutes=1)
    sizes = [before, grow(acme, 10)]
    place = witness.place
    settings.WITNESSES = (setting(Witness(witness.name, witness.seed, "127.0.0.1:1"), acme),)  # nobody listens there
    settings.WITNESS_ALLOW, settings.EMAIL_PORT = ("127.0.0.1:1",), 1

    with caplog.at_level(logging.WARNING, "checkpoints"):
        for _ in range(48 + 3):  # half an hour each; the letter's day began a little later
            look()
            sizes.append(grow(acme, 10))
            assert logs.waiting(acme.tenant_id) == 0
            clock.passes(minutes=30)

    assert all(later > earlier for earlier, later in pairwise(sizes))  # sealed and signed all the while
    assert alerts(clock) == {"WitnessIsBehind", "CheckpointsAreNotMailed"}
    assert len([each for each in caplog.records if each.levelno >= logging.ERROR]) == 2  # told once each
    settings.WITNESSES, settings.WITNESS_ALLOW = (setting(witness, acme),), (place,)
    settings.EMAIL_PORT = mail.port
    look()

    assert [(asked.old, asked.size, asked.status) for asked in witness.asked[1:]] == [(before, sizes[-1], 200)]
    with tenant_scope(acme.tenant_id):
        [line] = logs.log_of(acme).cosigned()[sizes[-1]]
    note.opened(logs.signed(acme).note + line.encode(), [VerifierKey.parse(witness.vkey)])
    assert len(mail.letters) == 2
    assert f"Leaves: {sizes[-1]}," in mail.texts()[1]
    assert alerts(clock) == set()

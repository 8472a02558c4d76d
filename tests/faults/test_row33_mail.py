"""Row 33, mail: with the mail server down for a day runs and their records go on, and there is an alert.

What befalls the witness stands with the sealer's tests.
"""

import signal
import threading
import urllib.request
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings
from prometheus_client.parser import text_string_to_metric_families

from tests.faults.rig import Rig, eventually
from tests.notices.postbox import open_postbox
from tests.ports import free_port

pytestmark = [
    pytest.mark.usefixtures("database"),
    pytest.mark.parametrize("engine", ["django_q"], indirect=True),  # the chores are the same in both
]

ALERTS = Path(settings.BASE_DIR) / "docs" / "running.md"


def asking(rig: Rig) -> str:
    """A run that asks, submitted."""
    return rig.start("payer", {"case": uuid4().hex[:8]})


def letters(rig: Rig) -> list[tuple[Any, ...]]:
    return rig.look.execute("SELECT status, attempts FROM notices_letter ORDER BY created_at, id").fetchall()


def later(rig: Rig, hours: int) -> None:
    """Let that much time have passed for the letters."""
    rig.look.execute(
        "UPDATE notices_letter SET created_at = created_at - make_interval(hours => %s), next_at = now() "
        "WHERE next_at IS NOT NULL",
        [hours],
    )


def waited_s(rig: Rig) -> float:
    """What `/metrics` says now of the oldest letter that was not sent; it repeats itself for some seconds."""
    with urllib.request.urlopen(f"{rig.web}/metrics") as answer:
        families = text_string_to_metric_families(answer.read().decode())
        samples = {each.name: each.value for family in families for each in family.samples}
    return samples["countersign_letters_waiting_seconds"]


def test_mail_is_down_for_a_day(rig: Rig) -> None:
    with rig.worker(mail_port=free_port()):
        rig.settle(asking(rig), people=False)
        assert eventually(lambda: any(attempts > 0 for _, attempts in letters(rig)))
        later(rig, 23)
        assert eventually(lambda: letters(rig)[0][1] > 1)
        assert letters(rig)[0][0] == "pending"
        assert eventually(lambda: waited_s(rig) > 22 * 3600)
        assert "countersign_letters_waiting_seconds[10m]) > 300" in ALERTS.read_text()

        other = rig.start("reader", {"case": uuid4().hex[:8]})
        assert rig.settle(other)["status"] == "completed"
        assert rig.events(other)[-1]["type"] == "run.completed"

        later(rig, 2)
        assert eventually(lambda: letters(rig)[0][0] == "failed")


def test_a_worker_that_is_killed_while_it_sends_costs_no_letter_and_makes_none_twice(rig: Rig) -> None:
    rig.look.execute("DELETE FROM notices_notice")  # what the test before left
    rig.look.execute("DELETE FROM notices_letter")
    with open_postbox() as box:
        box.holding = threading.Event()
        with rig.worker(mail_port=box.port) as worker:
            rig.settle(asking(rig), people=False)
            assert box.begun.wait(60)
            worker.send(signal.SIGKILL)
            assert eventually(worker.is_dead)
        box.holding.set()
        box.holding = None
        assert [status for status, _ in letters(rig)] == ["pending"]
        rig.look.execute("UPDATE notices_letter SET next_at = now() WHERE next_at IS NOT NULL")

        with rig.worker(mail_port=box.port), rig.worker(mail_port=box.port):
            assert eventually(lambda: [status for status, _ in letters(rig)] == ["sent"])
            other = rig.start("reader", {"case": uuid4().hex[:8]})
            rig.settle(other)

    assert len(box.came) == 1

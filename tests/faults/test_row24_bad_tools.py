"""Row 24: a tool that hangs, or sends a gigabyte, costs bounded time and memory."""

import threading
from pathlib import Path
from uuid import uuid4

import pytest

from tests.faults.agents import http
from tests.faults.effects import Fault
from tests.faults.provider import checked, of_type
from tests.faults.rig import Rig

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture
def hasty(rig: Rig) -> str:
    """An agent whose one read may take two seconds."""
    read = http("GET", f"{rig.effects.url}/read/{{case}}", timeout_s=2)
    rig.world.define("hasty", role="You only read.", tool_specs={"read": read})
    return "hasty"


def peak_mb(pid: int) -> int:
    """The most memory that a process ever had, in megabytes."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("VmHWM"))) // 1024


def test_a_tool_that_hangs_is_given_up(rig: Rig, hasty: str) -> None:
    case, held = uuid4().hex[:8], threading.Event()
    rig.effects.will(f"/read/{case}", Fault(200, held=held))
    run = rig.start(hasty, {"case": case})
    with checked(rig, run), rig.worker():
        assert rig.settle(run)["status"] == "completed"
    held.set()
    (failed,) = of_type(rig.events(run), "tool.failed")
    assert failed["code"] == "timeout"


def test_a_gigabyte_is_not_taken_in(rig: Rig, hasty: str) -> None:
    case = uuid4().hex[:8]
    rig.effects.will(f"/read/{case}", Fault(200, size=10**9))
    run = rig.start(hasty, {"case": case})
    with checked(rig, run), rig.worker() as worker:
        before = peak_mb(worker.pid)
        assert rig.settle(run)["status"] == "completed"
        assert peak_mb(worker.pid) < before + 100
    (failed,) = of_type(rig.events(run), "tool.failed")
    assert failed["code"] == "too_large"

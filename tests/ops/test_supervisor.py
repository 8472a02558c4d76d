"""Children live and end together."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings

from ops import supervisor
from ops.errors import ChildDied, StopRequested
from ops.supervisor import Child, Supervisor
from tests.ops.processes import eventually

SLEEP = Child("The sleeper", ("sleep", "600"))

PARENT = """
import sys
from ops.supervisor import Child, Supervisor
with Supervisor() as supervisor:
    print(supervisor.start(Child("The sleeper", ("sleep", "600"))), flush=True)
    supervisor.run()
"""


def alive(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def shell(script: str, name: str = "The script") -> Child:
    return Child(name, ("sh", "-c", script))


def test_a_child_that_ends_by_itself_is_named_with_its_exit_code() -> None:
    with Supervisor() as children:
        children.start(SLEEP)
        children.start(shell("exit 3"))

        with pytest.raises(ChildDied, match="The script ended with exit code 3"):
            children.run()


def test_a_child_that_is_killed_is_named_with_the_signal() -> None:
    with Supervisor() as children:
        os.kill(children.start(SLEEP), signal.SIGKILL)

        with pytest.raises(ChildDied, match="The sleeper was ended by SIGKILL"):
            children.run()


def test_leaving_ends_every_child() -> None:
    with Supervisor() as children:
        pids = [children.start(SLEEP) for _ in range(3)]

    assert not any(map(alive, pids))


@pytest.mark.parametrize("name", ["TERM", "INT", "HUP"])
def test_a_request_to_stop_ends_the_wait(name: str) -> None:
    former = signal.getsignal(getattr(signal, f"SIG{name}"))

    with Supervisor() as children:
        children.start(shell(f"kill -{name} {os.getpid()}; exec sleep 600"))
        children.run()

    assert signal.getsignal(getattr(signal, f"SIG{name}")) is former


def test_a_request_to_stop_while_starting_is_told() -> None:
    with Supervisor() as children:
        children.start(shell(f"kill -TERM {os.getpid()}; exec sleep 600"))

        with pytest.raises(StopRequested):
            children.wait_until(lambda: False, seconds=60, what="Nothing")


def test_what_does_not_come_is_named() -> None:
    with Supervisor() as children, pytest.raises(ChildDied, match="An answer did not come within 0 s"):
        children.wait_until(lambda: False, seconds=0, what="An answer")


def test_a_child_deaf_to_sigterm_is_killed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(supervisor, "STOP_SECONDS", 0.3)
    ready = tmp_path / "ready"

    with Supervisor() as children:
        pid = children.start(shell(f"trap '' TERM; touch {ready}; while :; do sleep 1; done"))
        children.wait_until(ready.exists, seconds=30, what="The trap")

    assert not alive(pid)


def test_what_a_child_leaves_behind_is_ended_too(tmp_path: Path) -> None:
    note = tmp_path / "pid"

    with Supervisor() as children:
        children.start(shell(f"sleep 600 & echo $! > {note}; wait"))
        children.wait_until(lambda: note.exists() and note.read_text() != "", seconds=30, what="The grandchild")

    assert eventually(lambda: not alive(int(note.read_text())))


def test_what_lies_outside_the_children_is_watched() -> None:
    seen: list[int] = []

    with Supervisor(watch=lambda: seen.append(1)) as children:
        children.wait_until(lambda: len(seen) > 1, seconds=30, what="The second look")

    assert len(seen) == 2


def test_children_end_when_the_supervisor_is_killed() -> None:
    environment = {**os.environ, "PYTHONPATH": str(settings.BASE_DIR / "platform")}
    parent = subprocess.Popen([sys.executable, "-c", PARENT], env=environment, stdout=subprocess.PIPE, text=True)
    assert parent.stdout
    child = int(parent.stdout.readline())
    assert alive(child)

    parent.kill()
    parent.communicate()

    assert eventually(lambda: not alive(child))

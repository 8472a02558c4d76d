"""A process that has loaded the platform and forks workers in milliseconds: `python -m tests.faults.forge FD`.

What it forks are real processes with a real driver (or web server) in them; only the loading is spared. It stays
single-threaded and opens no connection, so that a fork is whole.
"""

import ctypes
import faulthandler
import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.ops.processes import PATIENCE_SECONDS

Json = Any

_ROOT = Path(__file__).parents[2]
_PR_SET_PDEATHSIG = 1


class Channel:
    """The child's line to the test: it says things in JSON, one a line; when the test hangs up, the child ends."""

    def __init__(self, line: socket.socket) -> None:
        self._line = line
        self._lock = threading.Lock()

    def say(self, told: Json) -> None:
        """Tell the test something. Safe to use from several threads."""
        with self._lock:
            self._line.sendall(json.dumps(told).encode() + b"\n")

    def end_with_test(self) -> None:
        """End this process when the test hangs up."""

        def watch() -> None:
            while self._line.recv(1):
                pass
            os._exit(0)

        threading.Thread(target=watch, daemon=True).start()


class Child:
    """A forked process, as the test sees it."""

    def __init__(self, pid: int, line: socket.socket) -> None:
        self.pid = pid
        self._line = line
        self._text = line.makefile("r")

    def heard(self) -> Iterator[Json]:
        """Yield what the child says until it is dead."""
        for text in self._text:
            yield json.loads(text)

    def heard_so_far(self) -> list[Json]:
        """End it, and return what it said that was not heard yet."""
        self.send(signal.SIGKILL)
        return list(self.heard())

    def hear(self) -> Json:
        """Return the next thing that the child says.

        Raises `EOFError` when it is dead, and `TimeoutError` when it says nothing for PATIENCE_SECONDS.
        """
        self._line.settimeout(PATIENCE_SECONDS)
        text = self._text.readline()
        self._line.settimeout(None)
        if not text:
            raise EOFError(f"process {self.pid} ended")
        return json.loads(text)

    def is_dead(self) -> bool:
        """Whether the child has ended. For one that says nothing (more)."""
        self._line.setblocking(False)
        try:
            return self._line.recv(1, socket.MSG_PEEK) == b""
        except BlockingIOError:
            return False
        except ConnectionResetError:
            return True
        finally:
            self._line.setblocking(True)

    def has_said_something(self) -> bool:
        """Whether it said something that was not heard yet, or ended."""
        return bool(select.select([self._line], [], [], 0)[0])

    def send(self, number: signal.Signals) -> None:
        """Send it a signal: SIGKILL, SIGSTOP, SIGCONT."""
        if not self.is_dead():
            with suppress(ProcessLookupError):  # it died meanwhile
                os.kill(self.pid, number)

    def end(self) -> None:
        """Kill it and wait until it is gone."""
        self.send(signal.SIGKILL)
        self._line.settimeout(None)
        with suppress(ConnectionResetError):
            while self._line.recv(65536):
                pass
        self._text.close()
        self._line.close()


class Forge:
    """The forge, as the test sees it."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control

    def start(self, function: str, **arguments: Json) -> Child:
        """Fork a process that calls `module:function` with a `Channel` and these arguments."""
        ours, theirs = socket.socketpair()
        with theirs:
            text = json.dumps({"function": function, "arguments": arguments}).encode()
            socket.send_fds(self._control, [text + b"\n"], [theirs.fileno()])
            pid = int(self._control.recv(32))
        return Child(pid, ours)

    @contextmanager
    def running(self, function: str, **arguments: Json) -> Iterator[Child]:
        """The same, ended when the block is left."""
        child = self.start(function, **arguments)
        try:
            yield child
        finally:
            child.end()


@contextmanager
def forge(environment: Mapping[str, str]) -> Iterator[Forge]:
    """Start a forge with this environment; its children have it too."""
    ours, theirs = socket.socketpair()
    command = [sys.executable, "-m", "tests.faults.forge", str(theirs.fileno())]
    with subprocess.Popen(command, cwd=_ROOT, env=environment, pass_fds=[theirs.fileno()]) as process, ours:
        theirs.close()
        if ours.recv(1) != b"r":
            raise RuntimeError("the forge did not start")
        yield Forge(ours)
        ours.close()
        process.wait()


# --- inside the forge -----------------------------------------------------------------------------------------------


def main(control: socket.socket) -> None:
    """Load everything, then fork what is asked for until the test hangs up."""
    _load()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the children: the kernel reaps them
    control.sendall(b"r")
    while True:
        text, descriptors, _, _ = socket.recv_fds(control, 65536, 1)
        if not text:
            return
        asked = json.loads(text)
        line = socket.socket(fileno=descriptors[0])
        pid = os.fork()
        if pid == 0:
            control.close()
            _be(line, asked["function"], asked["arguments"])
        line.close()
        control.sendall(str(pid).encode())


def _load() -> None:
    import django

    django.setup()
    for module in ("agents.engine.django_q", "agents.providers.claude", "config.asgi", "config.urls", "uvicorn"):
        importlib.import_module(module)
    importlib.import_module("tests.faults.processes")


def _be(line: socket.socket, function: str, arguments: dict[str, Json]) -> None:
    """Be the child, and never return."""
    try:
        if sys.platform == "linux":
            ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        faulthandler.register(signal.SIGUSR1)  # tells where it hangs
        module, _, name = function.partition(":")
        getattr(importlib.import_module(module), name)(Channel(line), **arguments)
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


if __name__ == "__main__":
    main(socket.socket(fileno=int(sys.argv[1])))

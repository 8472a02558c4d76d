"""Starting and stopping the embedded server, from any number of processes at once."""

import fcntl
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from db import provision
from db.embedded import cluster
from db.embedded.account import Account, server_account
from db.embedded.binaries import find_binaries
from db.embedded.errors import EmbeddedServerError
from db.embedded.layout import PORT, Layout, find_layout, make_layout, start_lock
from db.embedded.postmaster import accepts_connections, disown_lock_files, find_postmaster

DATABASE = "countersign"
START_SECONDS = 120
"""Recovery after a crash may take a while."""

STOP_SECONDS = 30
ORPHANS_SECONDS = 20
"""How long children of a killed postmaster may take to notice."""

_known: dict[Path, "Server"] = {}
_used: dict[Path, IO[str]] = {}
_mutex = threading.RLock()


@dataclass(frozen=True)
class Server:
    """A running embedded server."""

    layout: Layout

    @property
    def host(self) -> str:
        """The folder of its socket, which libpq takes for a host."""
        return str(self.layout.socket_folder)

    @property
    def port(self) -> int:
        """Part of the socket's name."""
        return PORT

    def dsn(self, role: str = cluster.SUPERUSER, database: str = DATABASE) -> str:
        """A connection string; the socket's folder is private to this account, so no password is asked."""
        host = self.host.replace("\\", "\\\\").replace("'", "\\'")
        return f"host='{host}' port={self.port} user={role} dbname={database}"


def ensure_running(data_dir: Path, *, check: bool = False) -> Server:
    """Return the server of `data_dir`, making and starting it if need be; this process then counts as its user.

    Without `check` a server that this process has seen running is taken to run still.
    Raises EmbeddedServerError with a sentence that says how to mend it.
    """
    with _mutex:
        server = _known.get(data_dir)
        if server is None or (check and not accepts_connections(server.layout)):
            server = _known[data_dir] = _start_if_stopped(data_dir)
    return server


def is_alive(data_dir: Path) -> bool:
    """Whether the server of `data_dir` runs and takes connections. Starts nothing."""
    layout = find_layout(data_dir)
    return layout is not None and accepts_connections(layout)


def stop(data_dir: Path) -> None:
    """Stop the server of `data_dir`, whoever uses it: its connections end. Nothing happens if it doesn't run."""
    with _mutex, _starting(data_dir):
        _stop(data_dir)


def stop_if_unused(data_dir: Path, *, wait_s: float = 0.0) -> bool:
    """End this process's use of the server and stop it unless another process uses it; tell whether it was stopped.

    wait_s: how long to wait, in seconds, for others that are about to end.
    """
    until = time.monotonic() + wait_s
    with _mutex, _starting(data_dir):
        _known.pop(data_dir, None)
        used = _used.pop(data_dir, None)
        if used is None:
            return False
        with used:
            while not _alone(used):
                if time.monotonic() >= until:
                    return False
                time.sleep(0.1)
            _stop(data_dir)
            return True


def _alone(used: IO[str]) -> bool:
    """Take the lock that every user of the server shares, if nobody else holds it."""
    try:
        fcntl.flock(used, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _start_if_stopped(data_dir: Path) -> Server:
    _make_data_dir(data_dir)
    with _starting(data_dir):
        layout = find_layout(data_dir)
        if layout is None or not accepts_connections(layout):
            layout = _start(data_dir)
        _count_as_user(layout)
        _provision(layout)
    return Server(layout)


def _make_data_dir(data_dir: Path) -> None:
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        with start_lock(data_dir).open("a"):
            pass
    except OSError as error:
        raise EmbeddedServerError(
            f"DATA_DIR {data_dir} can't be used: {error.strerror}. Set DATA_DIR to a folder you can write to."
        ) from error


@contextmanager
def _starting(data_dir: Path) -> Iterator[None]:
    if not data_dir.exists():
        yield
        return
    with start_lock(data_dir).open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _count_as_user(layout: Layout) -> None:
    if layout.data_dir not in _used:
        used = layout.users_lock.open("a")
        fcntl.flock(used, fcntl.LOCK_SH)
        _used[layout.data_dir] = used


def _start(data_dir: Path) -> Layout:
    account = server_account()
    layout = make_layout(data_dir, account)
    binaries = find_binaries(account)
    fresh = not layout.data.exists()
    if fresh:
        print(f"Making the database in {layout.root} …", file=sys.stderr, flush=True)
    cluster.make_cluster(layout, account, binaries)
    cluster.write_configuration(layout, account)
    if fresh:
        layout.provisioned.unlink(missing_ok=True)
    _start_postmaster(layout, account, binaries.program("pg_ctl"))
    return layout


def _start_postmaster(layout: Layout, account: Account, pg_ctl: str) -> None:
    """Start, and after a SIGKILL of the postmaster retry until its last children are gone."""
    command = [pg_ctl, "start", "-D", str(layout.data), "-l", str(layout.log), "-w", "-t", str(START_SECONDS), "-s"]
    give_up = time.monotonic() + ORPHANS_SECONDS
    while True:
        if find_postmaster(layout) is None:
            disown_lock_files(layout)
        offset = layout.log.stat().st_size if layout.log.exists() else 0
        # No pipes: the server would inherit them, and reading them would wait for its end.
        with open(os.devnull, "w") as nowhere:
            started = account.run(command, stdout=nowhere, stderr=nowhere)
        if started.returncode == 0:
            return
        complaint = cluster.last_complaint(layout, offset)
        transient = "shared memory block" in complaint or "lock file" in complaint
        if not transient or time.monotonic() > give_up:
            raise EmbeddedServerError(
                f"The database in {layout.data} does not start: {complaint}. {layout.log} says more; restore the folder"
                " from a backup, or move it away to begin with an empty database."
            )
        time.sleep(0.2)


def _provision(layout: Layout) -> None:
    """Make roles and database, once for each change of what they shall be."""
    wanted = provision.fingerprint()
    if layout.provisioned.exists() and layout.provisioned.read_text() == wanted:
        return
    server = Server(layout)
    provision.create_database(server.dsn(database="postgres"), DATABASE)
    provision.provision(server.dsn())
    layout.provisioned.write_text(wanted)


def _stop(data_dir: Path) -> None:
    _known.pop(data_dir, None)
    layout = find_layout(data_dir)
    if layout is None or find_postmaster(layout) is None:
        return
    account = server_account()
    pg_ctl = find_binaries(account).program("pg_ctl")
    for mode in ("fast", "immediate"):
        command = [pg_ctl, "stop", "-D", str(layout.data), "-m", mode, "-w", "-t", str(STOP_SECONDS), "-s"]
        with open(os.devnull, "w") as nowhere:
            if account.run(command, stdout=nowhere, stderr=nowhere).returncode == 0:
                return
    raise EmbeddedServerError(f"The database in {layout.data} does not stop; {layout.log} says why.")

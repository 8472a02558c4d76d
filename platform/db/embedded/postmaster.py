"""What a postmaster.pid says, and whether it is true."""

import os
import socket
import struct
import subprocess
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from db.embedded.layout import PORT, Layout

IMPOSSIBLE_PID = 2**31 - 1

_SSL_REQUEST = struct.pack("!ii", 8, 80877103)
"""PostgreSQL's protocol, SSLRequest: any server answers it with one byte, before it asks who connects."""


@dataclass(frozen=True)
class Postmaster:
    """The running server of a data folder."""

    pid: int


def find_postmaster(layout: Layout) -> Postmaster | None:
    """The live postmaster of this data folder.

    The number in postmaster.pid may meanwhile belong to an unrelated process, so the process must be a postgres that
    was started on this folder.
    """
    try:
        pid = int((layout.data / "postmaster.pid").read_text().split("\n", 1)[0])
    except (OSError, ValueError):
        return None
    return Postmaster(pid) if pid > 1 and str(layout.data) in _command_line(pid) else None


def disown_lock_files(layout: Layout) -> None:
    """Make PostgreSQL see as stale the lock files of a killed postmaster. Call it when `find_postmaster` found none.

    Their process number may meanwhile be an unrelated process's, which PostgreSQL would take for a live server. The
    files stay: they also name the shared memory by which PostgreSQL notices that old children are still at work.
    """
    for path in (layout.data / "postmaster.pid", layout.socket_folder / f".s.PGSQL.{PORT}.lock"):
        if path.exists():
            _, newline, rest = path.read_text().partition("\n")
            path.write_text(f"{IMPOSSIBLE_PID}{newline}{rest}")


def accepts_connections(layout: Layout) -> bool:
    """Whether a server answers on the socket; that something listens there says little while a killed one goes away."""
    with closing(socket.socket(socket.AF_UNIX)) as probe:
        probe.settimeout(5)
        try:
            probe.connect(str(layout.socket_folder / f".s.PGSQL.{PORT}"))
            probe.sendall(_SSL_REQUEST)
            return probe.recv(1) in {b"S", b"N"}
        except OSError:
            return False


def _command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except OSError:
        if os.path.isdir("/proc/self"):
            return ""
    # Systems without /proc.
    shown = subprocess.run(  # noqa: S603
        ["/bin/ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return shown.stdout

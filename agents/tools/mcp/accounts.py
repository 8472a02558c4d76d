"""Accounts for MCP servers, when the platform runs as root: one for each process, nobody else's while it lives."""

import contextlib
import fcntl
import os
from pathlib import Path
from typing import Final

from agents.tools.mcp.faults import McpError
from db.embedded.account import STATE_ROOT

#: User ids that nothing on a machine has by itself: those that systemd lends to services for as long as they run.
FIRST_UID: Final = 61184
LAST_UID: Final = 65519
LOCKS: Final = STATE_ROOT / "mcp-accounts"


def account(locks: Path = LOCKS) -> tuple[int | None, int | None]:
    """Return (user id, file descriptor that holds it); (None, None) for a platform that does not run as root.

    Who holds the descriptor, or a copy of it, has the account. One that a process of the machine has already is left
    alone. Raises `McpError` when all are taken.
    """
    if os.geteuid() != 0:
        return None, None
    locks.mkdir(parents=True, exist_ok=True, mode=0o700)
    for uid in range(FIRST_UID, LAST_UID + 1):
        held = os.open(locks / str(uid), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(held)
            continue
        if uid in _at_work():  # now that nobody else begins with it
            os.close(held)
            continue
        return uid, held
    raise McpError("busy", "Too many MCP servers run on this machine.", retryable=True)


def _at_work() -> set[int]:
    """Return the user ids that processes have."""
    found: set[int] = set()
    for name in os.listdir("/proc") if os.path.isdir("/proc") else ():
        if name.isdigit():
            with contextlib.suppress(OSError):
                status = Path(f"/proc/{name}/status").read_text(encoding="utf-8", errors="replace")
                found |= {
                    int(uid) for line in status.splitlines() if line.startswith("Uid:") for uid in line.split()[1:]
                }
    return found

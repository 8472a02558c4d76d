"""`manage.py up` as a person uses it: real processes, a real port, real signals."""

import json
import os
import signal
import socket
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

import psycopg
import pytest

from db import embedded
from db.embedded.layout import find_layout
from db.embedded.postmaster import find_postmaster
from tests.ops import processes
from tests.ops.processes import PATIENCE_SECONDS, environment, eventually, manage, of_installation


def get(url: str) -> tuple[int, dict[str, object]]:
    try:
        with urllib.request.urlopen(url) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)
    except OSError:
        return 0, {}


def refused(data_dir: Path, *arguments: str, **variables: str) -> str:
    """What `up` says when it doesn't start: a sentence, no traceback."""
    done = subprocess.run(
        manage("up", "--port", "0", *arguments),
        env=environment(data_dir, **variables),
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    return done.stderr


def test_it_serves_and_stops_cleanly_and_serves_again(data_dir: Path) -> None:
    with processes.up(data_dir, "--workers", "1") as first:
        assert get(f"{first.url}/healthz") == (200, {"status": "ok"})
        assert get(f"{first.url}/readyz") == (200, {"status": "ready"})
        assert of_installation(data_dir, "qcluster")
        assert first.end(signal.SIGTERM) == 0
    assert of_installation(data_dir) == []
    assert not embedded.is_alive(data_dir)

    with processes.up(data_dir, "--workers", "0") as second:
        assert get(f"{second.url}/readyz")[0] == 200
        assert not of_installation(data_dir, "qcluster")
        assert second.end(signal.SIGINT) == 0
    assert of_installation(data_dir) == []


def test_a_child_that_is_killed_brings_it_down_and_is_named(data_dir: Path) -> None:
    with processes.up(data_dir, "--workers", "1") as running:
        os.kill(of_installation(data_dir, "manage.py web")[0], signal.SIGKILL)

        assert running.process.wait(PATIENCE_SECONDS) == 1
        assert "The web server was ended by SIGKILL" in running.said()
    assert of_installation(data_dir) == []


def test_a_killed_database_is_started_again(data_dir: Path) -> None:
    with processes.up(data_dir, "--workers", "0") as running:
        layout = find_layout(data_dir)
        assert layout
        postmaster = find_postmaster(layout)
        assert postmaster
        os.kill(postmaster.pid, signal.SIGKILL)

        assert eventually(lambda: "The database has gone" in running.said())
        assert eventually(lambda: get(f"{running.url}/readyz")[0] == 200)


def test_nothing_serves_on_after_it_was_killed(data_dir: Path) -> None:
    with processes.up(data_dir, "--workers", "1") as running:
        running.end(signal.SIGKILL)

        assert eventually(lambda: of_installation(data_dir) == [])


def test_a_used_port_is_named(data_dir: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])

        said = refused(data_dir, "--port", port)

    assert f"127.0.0.1:{port} can't be served on (Address already in use): choose another" in said
    assert not (data_dir / "postgresql").exists()


def test_a_broken_data_folder_is_named(data_dir: Path) -> None:
    (data_dir / "postgresql" / "data").mkdir(parents=True)

    assert f"{data_dir}/postgresql/data is damaged" in refused(data_dir)


@pytest.mark.parametrize("login", ["postgres", "countersign_owner"])
def test_a_login_with_too_many_rights_is_refused(data_dir: Path, login: str) -> None:
    said = refused(data_dir, **databases(data_dir, login))

    assert f"The database login {login} " in said
    assert "let DATABASE_URL log in as countersign_app" in said


def test_a_login_that_the_server_does_not_have_is_named(data_dir: Path) -> None:
    assert "has no login web, which DATABASE_URL names" in refused(data_dir, **databases(data_dir, "web"))


def test_migrations_without_the_owners_login_are_refused(data_dir: Path) -> None:
    variables = databases(data_dir, "countersign_app")
    variables["DATABASE_OWNER_URL"] = ""

    assert "set DATABASE_OWNER_URL" in refused(data_dir, **variables)


def test_an_operators_own_login_serves(data_dir: Path) -> None:
    with psycopg.connect(embedded.ensure_running(data_dir).dsn(), autocommit=True) as connection:
        connection.execute("CREATE ROLE web LOGIN")

    with processes.up(data_dir, "--workers", "0", **databases(data_dir, "web")) as running:
        assert get(f"{running.url}/readyz") == (200, {"status": "ready"})
        assert running.end() == 0


def databases(data_dir: Path, login: str) -> dict[str, str]:
    """A server in `data_dir` as an operator's own: `login` serves, a superuser migrates."""
    server = embedded.ensure_running(data_dir)
    place = f"/countersign?host={server.host}&port={server.port}"
    return {"DATABASE_URL": f"postgresql://{login}@{place}", "DATABASE_OWNER_URL": f"postgresql://postgres@{place}"}

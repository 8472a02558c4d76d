"""The embedded server: started once, found again, restarted after the worst, and honest about what it can't mend."""

import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import psycopg
import pytest
from django.conf import settings

from db import embedded
from db.embedded.layout import find_layout
from db.embedded.postmaster import IMPOSSIBLE_PID, find_postmaster
from tests.db.embedded.conftest import remove

OTHER_PROCESS = """
import sys
from pathlib import Path
from db import embedded
server = embedded.ensure_running(Path(sys.argv[1]))
print((server.layout.data / "postmaster.pid").read_text().split()[0], flush=True)
sys.stdin.read()
"""


def other_process(data_dir: Path) -> "subprocess.Popen[str]":
    """A process that uses the server until its standard input is closed; it prints the postmaster's number."""
    environment = {**os.environ, "PYTHONPATH": str(settings.BASE_DIR / "platform")}
    command = [sys.executable, "-c", OTHER_PROCESS, str(data_dir)]
    return subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def postmaster_pid(data_dir: Path) -> int:
    layout = find_layout(data_dir)
    assert layout is not None
    postmaster = find_postmaster(layout)
    assert postmaster is not None
    return postmaster.pid


def forget(data_dir: Path) -> None:
    """Make this process as ignorant of the server as a new one."""
    embedded.launcher._known.pop(data_dir, None)


def test_it_starts_private_and_durable(data_dir: Path) -> None:
    server = embedded.ensure_running(data_dir)

    with psycopg.connect(server.dsn("countersign_app")) as connection:
        shown = {
            name: connection.execute(f"SHOW {name}").fetchone()
            for name in ("listen_addresses", "fsync", "full_page_writes", "synchronous_commit", "data_checksums")
        }
    assert shown == {
        "listen_addresses": ("",),
        "fsync": ("on",),
        "full_page_writes": ("on",),
        "synchronous_commit": ("on",),
        "data_checksums": ("on",),
    }
    assert stat.S_IMODE(server.layout.socket_folder.stat().st_mode) == 0o700
    assert find_postmaster(server.layout) is not None


def test_five_processes_that_start_together_get_one_server(data_dir: Path) -> None:
    processes = [other_process(data_dir) for _ in range(5)]
    pids = {process.stdout.readline().strip() for process in processes if process.stdout}
    for process in processes:
        process.communicate("")

    assert pids == {str(postmaster_pid(data_dir))}


def test_the_last_to_leave_stops_it(data_dir: Path) -> None:
    embedded.ensure_running(data_dir)
    other = other_process(data_dir)
    assert other.stdout
    other.stdout.readline()

    stopped_while_used = embedded.stop_if_unused(data_dir)
    alive_while_used = embedded.is_alive(data_dir)
    other.communicate("")
    embedded.ensure_running(data_dir)

    assert (stopped_while_used, alive_while_used) == (False, True)
    assert embedded.stop_if_unused(data_dir) is True
    assert embedded.is_alive(data_dir) is False


def test_what_was_committed_survives_a_killed_postmaster(data_dir: Path) -> None:
    server = embedded.ensure_running(data_dir)
    with psycopg.connect(server.dsn("countersign_owner")) as connection:
        connection.execute("CREATE TABLE kept (value int)")
        connection.execute("INSERT INTO kept VALUES (1)")
    killed = postmaster_pid(data_dir)
    os.kill(killed, signal.SIGKILL)
    forget(data_dir)

    server = embedded.ensure_running(data_dir)

    assert postmaster_pid(data_dir) != killed
    with psycopg.connect(server.dsn("countersign_owner")) as connection:
        assert connection.execute("SELECT value FROM kept").fetchall() == [(1,)]


def test_a_killed_server_is_started_again_when_asked_to_check(data_dir: Path) -> None:
    embedded.ensure_running(data_dir)
    os.kill(postmaster_pid(data_dir), signal.SIGKILL)
    while embedded.is_alive(data_dir):
        pass

    embedded.ensure_running(data_dir, check=True)

    assert embedded.is_alive(data_dir)


def test_a_stale_lock_file_that_names_an_unrelated_process_harms_neither(data_dir: Path) -> None:
    server = embedded.ensure_running(data_dir)
    embedded.stop(data_dir)
    account = server.layout.data.stat()
    bystander = subprocess.Popen(["sleep", "600"], user=account.st_uid if os.geteuid() == 0 else None)
    try:
        (server.layout.data / "postmaster.pid").write_text(f"{bystander.pid}\n{server.layout.data}\n1\n5432\n\n\n0 0\n")

        embedded.ensure_running(data_dir)

        assert embedded.is_alive(data_dir)
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def test_no_process_has_the_number_written_into_stale_lock_files() -> None:
    with pytest.raises(ProcessLookupError):
        os.kill(IMPOSSIBLE_PID, 0)


def test_a_folder_that_is_no_cluster_is_named(data_dir: Path) -> None:
    broken = data_dir / "postgresql" / "data"
    broken.mkdir(parents=True)

    with pytest.raises(embedded.EmbeddedServerError, match=f"{broken} is damaged .* move it away"):
        embedded.ensure_running(data_dir)


def test_a_damaged_cluster_is_named_with_postgresqls_reason(data_dir: Path) -> None:
    server = embedded.ensure_running(data_dir)
    embedded.stop(data_dir)
    (server.layout.data / "global" / "pg_control").unlink()

    with pytest.raises(embedded.EmbeddedServerError, match=f"{server.layout.data} does not start: .*pg_control"):
        embedded.ensure_running(data_dir)


def test_another_versions_cluster_is_named(data_dir: Path) -> None:
    server = embedded.ensure_running(data_dir)
    embedded.stop(data_dir)
    (server.layout.data / "PG_VERSION").write_text("12\n")

    with pytest.raises(embedded.EmbeddedServerError, match="was made by PostgreSQL 12, and PostgreSQL 1"):
        embedded.ensure_running(data_dir)
    (server.layout.data / "PG_VERSION").write_text("18\n")


def test_an_interrupted_making_is_begun_anew(data_dir: Path) -> None:
    (data_dir / "postgresql" / "data.new" / "base").mkdir(parents=True)

    embedded.ensure_running(data_dir)

    assert embedded.is_alive(data_dir)


def test_a_path_too_long_for_a_socket_is_no_hindrance() -> None:
    top = Path(tempfile.mkdtemp(prefix="countersign-test-"))
    top.chmod(0o755)
    deep = top.joinpath(*["a-folder-with-a-long-name, and 'quotes'"] * 3)
    deep.mkdir(parents=True)
    try:
        server = embedded.ensure_running(deep)

        assert not server.layout.socket_folder.is_relative_to(top)
        with psycopg.connect(server.dsn("countersign_app")) as connection:
            assert connection.execute("SELECT current_user").fetchone() == ("countersign_app",)
        embedded.stop(deep)
        shutil.rmtree(server.layout.socket_folder)
    finally:
        remove(deep)
        shutil.rmtree(top)


def test_a_folder_its_account_cannot_reach_is_no_hindrance(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    try:
        server = embedded.ensure_running(closed)

        assert embedded.is_alive(closed)
        assert (closed / "postgresql").resolve() == server.layout.root
    finally:
        remove(closed)


def test_a_data_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(embedded.EmbeddedServerError, match=r"DATA_DIR .*/file/data can't be used"):
        embedded.ensure_running(tmp_path / "file" / "data")

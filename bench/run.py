"""Run the benchmarks and print their tables. `make bench`; see README.md beside this file.

    python bench/run.py [--rounds 3] [--only throughput idle waiting where length] [--peers countersign floor] [--json F]
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent / "platform")]

import goals  # noqa: E402
import throughput  # noqa: E402
from postgres import PostgreSQL  # noqa: E402

PARTS = ("throughput", "idle", "waiting", "where", "length")


@contextmanager
def fake_model(*arguments: str) -> Iterator[str]:
    """Run the fake model server; yields its address."""
    command = [sys.executable, str(HERE / "fake_model.py"), *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield f"http://127.0.0.1:{server.stdout.readline().strip()}"
        finally:
            server.terminate()


def options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--runs", type=int, default=100, help="runs in a timed window")
    parser.add_argument("--concurrency", type=int, default=8)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--peers", nargs="+", help="scripts in peers/, without .py; all of them by default")
    parser.add_argument("--scratch", default="/var/tmp", help="a folder on a real disk for PostgreSQL")  # noqa: S108
    parser.add_argument("--json", type=Path, help="also write the figures here")
    return parser.parse_args()


def measure(part: str, server: PostgreSQL) -> dict[str, float]:
    """Run one measurement in a process of its own; it prints what it found as JSON."""
    database = f"measure_{part}"
    server.create(database)
    command = [sys.executable, str(HERE / f"measure_{part}.py"), "--dsn", server.dsn(database)]
    environment = {**os.environ, "PYTHONPATH": str(HERE)}
    ended = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=environment, check=True)
    found: dict[str, float] = json.loads(ended.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Measure and print."""
    wanted = options()
    found: dict[str, dict[str, float]] = {}
    measured = throughput.Measured()
    with PostgreSQL(wanted.scratch, ("shared_preload_libraries=pg_stat_statements",)) as server:
        if "throughput" in wanted.only:
            with fake_model() as url:
                measured = throughput.Throughput(server, url, wanted).run()
        for part in PARTS[1:]:
            if part in wanted.only:
                print(f"measuring {part} …", file=sys.stderr, flush=True)
                found[part] = measure(part, server)
    print(throughput.table(measured), goals.where_table(found), goals.table(measured, found), sep="\n\n")
    if wanted.json:
        wanted.json.write_text(json.dumps({"throughput": measured.rounds, **found}, indent=1))


if __name__ == "__main__":
    main()

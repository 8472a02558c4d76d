"""Run the benchmarks and print their tables. `make bench`; see README.md beside this file.

python bench/run.py [--rounds 3] [--only throughput rest waiting where length] [--peers countersign floor] [--json F]
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent / "platform")]

import goals  # noqa: E402
import throughput  # noqa: E402
from measuring import OURS, end_when_told, fake_model, run  # noqa: E402
from postgres import PostgreSQL  # noqa: E402

#: Part by part; the settings of its PostgreSQL server beyond the stock ones.
PARTS: dict[str, tuple[str, ...]] = {
    "throughput": (),
    "rest": (),
    "waiting": (),
    "where": ("shared_preload_libraries=pg_stat_statements", "pg_stat_statements.track_planning=on"),
    "length": (),
    "sealing": (),
    "workers": (),
    "watchers": (),
    "crowd": (),
    "rows": (),
    "grants": (),
    "search": ("shared_buffers=1GB", "max_wal_size=8GB"),
}
LARGE = ("workers", "watchers", "crowd", "rows", "grants", "search")
QUICK = tuple(part for part in PARTS if part not in LARGE)


def command_line() -> argparse.Namespace:
    """Read it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--runs", type=int, default=100, help="runs in a timed window")
    parser.add_argument("--concurrency", type=int, default=8)
    parser.add_argument("--only", nargs="+", choices=list(PARTS), default=list(QUICK))
    parser.add_argument("--large", action="store_true", help="only what loads many rows")
    parser.add_argument("--peers", nargs="+", help="scripts in peers/, without .py; all of them by default")
    parser.add_argument("--scratch", default="/var/tmp", help="a folder on a real disk for PostgreSQL")  # noqa: S108
    parser.add_argument("--json", type=Path, help="also write every measurement here")
    options = parser.parse_args()
    if options.large:
        options.only = list(LARGE)
    return options


def measure(part: str, scratch: str) -> dict[str, Any]:
    """Run one measurement on a server and in a process of its own; it prints what it found as JSON."""
    print(f"measuring {part} …", file=sys.stderr, flush=True)
    with PostgreSQL(scratch, PARTS[part]) as server:
        server.create(part)
        command = [sys.executable, str(HERE / f"measure_{part}.py"), "--dsn", server.dsn(part)]
        ended = run(command, stdout=subprocess.PIPE, env=OURS)
    if ended.returncode:
        print(f"{part} failed", file=sys.stderr)
        return {}
    found: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Measure and print."""
    options = command_line()
    end_when_told()
    measured = throughput.Measured()
    if "throughput" in options.only:
        with PostgreSQL(options.scratch) as server, fake_model() as url:
            measured = throughput.Throughput(server, url, options).run()
    found = {part: measure(part, options.scratch) for part in PARTS if part != "throughput" and part in options.only}
    tables = [goals.more_tables(found)]
    if set(QUICK) & set(options.only):
        tables = [throughput.table(measured), *tables, goals.table(measured, found)]
    print("\n\n".join(each for each in tables if each))
    if options.json:
        options.json.write_text(json.dumps({"throughput": measured.rounds, **found}, indent=1))


if __name__ == "__main__":
    main()

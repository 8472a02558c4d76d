"""Do more workers end more runs? The same queue of runs before `qcluster` with 1, 2 and 4 worker processes.

With each how many of the machine's cores were busy, with whatever: workers, PostgreSQL, the model, this process.
"""

import argparse
import json
import os
import tempfile
import time
from pathlib import Path

import installation
import processes
from common import FINAL
from measuring import fake_model

WORKERS = (1, 2, 4)
RUNS = 400
WARM = 40


def main() -> None:
    """Measure and print JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--dsn", required=True)
    options = parser.parse_args()
    found: dict[str, float] = {"cores": os.cpu_count() or 1}
    with tempfile.TemporaryDirectory() as data_dir, fake_model() as model_url:
        base = installation.environment(options.dsn, data_dir, ANTHROPIC_API_KEY="bench", ANTHROPIC_BASE_URL=model_url)
        installation.boot(options.dsn, data_dir)
        world = installation.world("workers")
        for workers in WORKERS:
            arguments = ("qcluster", "--workers", str(workers))
            with processes.command(base, Path(data_dir) / "log", *arguments):
                ended(world, WARM)
                begun, busy = time.perf_counter(), busy_seconds()
                ended(world, RUNS)
                took = time.perf_counter() - begun
                found[f"runs_per_s_{workers}"] = RUNS / took
                found[f"busy_{workers}"] = (busy_seconds() - busy) / took
    print(json.dumps(found))


def busy_seconds() -> float:
    """Seconds that the machine's cores were busy so far, all together (Linux)."""
    user, nice, system, _, _, irq, softirq, steal = (
        int(ticks) for ticks in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]
    )
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def ended(world: installation.World, count: int) -> None:
    """Queue this many runs and wait until all have completed."""
    before = world.ended()
    runs = [world.submit({"number": number}) for number in range(count)]
    processes.wait_for(lambda: world.ended() == before + count, patience_s=300, pause_s=0.05)
    assert all(outcome == ("completed", FINAL) for outcome in world.outcomes(runs))


if __name__ == "__main__":
    main()

"""Do more workers end more runs? The same queue of runs before `qcluster` with 1, 2 and 4 worker processes."""

import argparse
import json
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
    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as data_dir, fake_model() as model_url:
        base = installation.environment(options.dsn, data_dir, ANTHROPIC_API_KEY="bench", ANTHROPIC_BASE_URL=model_url)
        installation.boot(options.dsn, data_dir)
        world = installation.world("workers")
        for workers in WORKERS:
            arguments = ("qcluster", "--workers", str(workers))
            with processes.command(base, Path(data_dir) / "log", *arguments):
                ended(world, WARM)
                begun = time.perf_counter()
                ended(world, RUNS)
                found[f"runs_per_s_{workers}"] = RUNS / (time.perf_counter() - begun)
    print(json.dumps(found))


def ended(world: installation.World, count: int) -> None:
    """Queue this many runs and wait until all have completed."""
    before = world.ended()
    runs = [world.submit({"number": number}) for number in range(count)]
    processes.wait_for(lambda: world.ended() == before + count, patience_s=300, pause_s=0.05)
    assert all(outcome == ("completed", FINAL) for outcome in world.outcomes(runs))


if __name__ == "__main__":
    main()

"""Does a step cost more in a longer run? Engine only: runs of 11, 101 and 1,001 steps, one at a time."""

import argparse
import json
import tempfile
import time

import installation
from common import cpu_seconds
from peers.countersign import Engine, model_function

LENGTHS = (5, 50, 500)  # tool turns; a run has 2 * turns + 1 steps
REPEATS = {5: 40, 50: 4, 500: 1}


def main() -> None:
    """Measure and print JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--dsn", required=True)
    options = parser.parse_args()
    options.client = "none"
    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as data_dir:
        installation.boot(options.dsn, data_dir)
        for turns in LENGTHS:
            engine = Engine(model_function(options, turns), f"length-{turns}")
            steps = (2 * turns + 1) * REPEATS[turns]
            begun, cpu = time.perf_counter(), cpu_seconds()
            for number in range(REPEATS[turns]):
                engine.run(number)
            found[f"wall_ms_{2 * turns + 1}"] = 1000 * (time.perf_counter() - begun) / steps
            found[f"cpu_ms_{2 * turns + 1}"] = 1000 * (cpu_seconds() - cpu) / steps
            engine.close()
    print(json.dumps(found))


if __name__ == "__main__":
    main()

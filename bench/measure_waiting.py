"""500 runs waiting on a model that takes 10 s, in `qcluster --workers 2`: the memory of the whole process tree."""

import argparse
import json
import tempfile
import time
from pathlib import Path

import installation
import processes
from common import FINAL
from measuring import fake_model

RUNS = 500
DELAY_MS = 10_000
TOOL_TURNS = 1  # two calls of the model, one of the tool: 20 s a run


def main() -> None:
    """Measure and print JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--dsn", required=True)
    parser.add_argument("--runs", type=int, default=RUNS)
    options = parser.parse_args()
    arguments = ("--delay-ms", str(DELAY_MS), "--tool-turns", str(TOOL_TURNS))
    with tempfile.TemporaryDirectory() as data_dir, fake_model(*arguments) as model_url:
        base = installation.environment(options.dsn, data_dir, ANTHROPIC_API_KEY="bench", ANTHROPIC_BASE_URL=model_url)
        installation.boot(options.dsn, data_dir)
        world = installation.world("waiting")
        runs = [world.submit({"number": number}) for number in range(options.runs)]
        begun, peak = time.perf_counter(), 0.0
        with processes.command(base, Path(data_dir) / "log", "qcluster", "--workers", "2") as cluster:
            while (done := world.ended()) < options.runs and time.perf_counter() - begun < 180:
                peak = max(peak, processes.pss_mb(cluster.pid))
                time.sleep(0.5)
            seconds, members = time.perf_counter() - begun, len(processes.tree(cluster.pid))
        right = sum(outcome == ("completed", FINAL) for outcome in world.outcomes(runs))
        counted = processes.stats(model_url)
        print(
            json.dumps(
                {
                    "runs": options.runs,
                    "ended": done,
                    "right": right,
                    "in_flight": counted["peak"],
                    "calls": counted["calls"],
                    "pss_mb": peak,
                    "processes": members,
                    "seconds": seconds,
                }
            )
        )


if __name__ == "__main__":
    main()

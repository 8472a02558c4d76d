"""Over REST, with the real web server and `qcluster --workers 2`: idle start, submit latency, runs/s end to end.

Idle start: a POST into an idle installation, at a random moment; from before the request to (a) the time of the
journal's `run.started` and (b) the arrival of the first call at the model, which comes after that commit.
"""

import argparse
import json
import random
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import UUID

import installation
import processes
from common import FINAL, percentile
from measuring import fake_model

SINGLES = 40
CLIENTS = 8
RUNS = 200


def main() -> None:
    """Measure and print JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--dsn", required=True)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as data_dir, fake_model() as model_url:
        base = installation.environment(options.dsn, data_dir, ANTHROPIC_API_KEY="bench", ANTHROPIC_BASE_URL=model_url)
        installation.boot(options.dsn, data_dir)
        world = installation.world("rest")
        log = Path(data_dir) / "log"
        with processes.web(base, log) as api, processes.command(base, log, "qcluster", "--workers", "2"):
            api.key = world.key
            for _ in range(4):
                finished(world, [UUID(api.submit({"warm": True}))])
                api.hang_up()
            found = {**idle(api, world, model_url), **loaded(api.url, world)}
        print(json.dumps(found))


def finished(world: installation.World, runs: list[UUID]) -> None:
    """Wait until these runs have completed; one query every 50 ms."""
    processes.wait_for(lambda: all(status == "completed" for status, _ in world.outcomes(runs)), pause_s=0.05)
    assert all(outcome == ("completed", FINAL) for outcome in world.outcomes(runs))


def idle(api: processes.Api, world: installation.World, model_url: str) -> dict[str, float]:
    """Single runs."""
    posts, starts, calls = [], [], []
    for number in range(SINGLES):
        time.sleep(random.uniform(0.2, 0.5))  # noqa: S311
        begun = time.time()
        run = UUID(api.submit({"single": number}))
        posts.append(time.time() - begun)
        api.hang_up()
        finished(world, [run])
        starts.append(world.started_at(run) - begun)
        calls.append(processes.stats(model_url)["last_opening"] - begun)
    names = {"post": posts, "started": starts, "first_call": calls}
    return {
        f"{name}_{label}_ms": 1000 * percentile(values, share)
        for name, values in names.items()
        for label, share in (("p50", 0.5), ("p95", 0.95))
    }


def loaded(url: str, world: installation.World) -> dict[str, float]:
    """Many runs at once: the time of each POST, and from the first POST to the last run's end."""

    def client(share: int) -> list[tuple[UUID, float]]:
        mine, sent = processes.Api(url, world.key), []
        for number in range(share):
            begun = time.perf_counter()
            sent.append((UUID(mine.submit({"loaded": number})), time.perf_counter() - begun))
        return sent

    begun = time.perf_counter()
    with ThreadPoolExecutor(CLIENTS) as pool:
        sent: list[Any] = [each for part in pool.map(client, [RUNS // CLIENTS] * CLIENTS) for each in part]
    submitted = time.perf_counter() - begun
    finished(world, [run for run, _ in sent])
    took = [seconds for _, seconds in sent]
    return {
        "submits_per_s": len(sent) / submitted,
        "submit_p50_ms": 1000 * percentile(took, 0.5),
        "submit_p95_ms": 1000 * percentile(took, 0.95),
        "rest_runs_per_s": len(sent) / (time.perf_counter() - begun),
    }


if __name__ == "__main__":
    main()

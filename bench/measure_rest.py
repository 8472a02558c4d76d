"""Over REST, with the real web server and `qcluster --workers 2`: idle start, submit latency, runs/s end to end.

Idle start: a POST into an idle installation, at a random moment; from before the request to (a) the time of the
journal's `run.started` and (b) the arrival of the first call at the model, which comes after that commit. Beside it
what the same server takes for `/healthz`, from the same clients: what HTTP alone costs here.
"""

import argparse
import json
import random
import tempfile
import time
from collections.abc import Callable
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
    posts, starts, calls, nothings = [], [], [], []
    for number in range(SINGLES):
        time.sleep(random.uniform(0.2, 0.5))  # noqa: S311
        begun = time.time()
        run = UUID(api.submit({"single": number}))
        posts.append(time.time() - begun)
        api.hang_up()
        finished(world, [run])
        starts.append(world.started_at(run) - begun)
        calls.append(processes.stats(model_url)["last_opening"] - begun)
        begun = time.time()
        health(api)
        nothings.append(time.time() - begun)
        api.hang_up()
    names = {"post": posts, "started": starts, "first_call": calls, "idle_health": nothings}
    return {
        f"{name}_{label}_ms": 1000 * percentile(values, share)
        for name, values in names.items()
        for label, share in (("p50", 0.5), ("p95", 0.95))
    }


def loaded(url: str, world: installation.World) -> dict[str, float]:
    """Many runs at once: the time of each POST, and from the first POST to the last run's end."""
    nothing, _ = from_clients(url, world, health)
    begun = time.perf_counter()
    found, runs = from_clients(url, world, lambda api: UUID(api.submit({"loaded": True})))
    finished(world, runs)
    found = {f"submit_{name}": value for name, value in found.items()}
    found |= {f"health_{name}": value for name, value in nothing.items()}
    return {**found, "rest_runs_per_s": len(runs) / (time.perf_counter() - begun)}


def health(api: processes.Api) -> None:
    """Ask for what needs no database."""
    assert api.status("GET", "/healthz", keep=True) == 200


def from_clients(
    url: str, world: installation.World, call: Callable[[processes.Api], Any]
) -> tuple[dict[str, float], list[Any]]:
    """Call from several clients at once, each on its connection: rate, p50 and p95, and what the calls returned."""

    def client(share: int) -> list[tuple[Any, float]]:
        mine, done = processes.Api(url, world.key), []
        for _ in range(share):
            begun = time.perf_counter()
            done.append((call(mine), time.perf_counter() - begun))
        mine.hang_up()
        return done

    begun = time.perf_counter()
    with ThreadPoolExecutor(CLIENTS) as pool:
        done = [each for part in pool.map(client, [RUNS // CLIENTS] * CLIENTS) for each in part]
    rate = len(done) / (time.perf_counter() - begun)
    took = [seconds for _, seconds in done]
    figures = {"per_s": rate, "p50_ms": 1000 * percentile(took, 0.5), "p95_ms": 1000 * percentile(took, 0.95)}
    return figures, [returned for returned, _ in done]


if __name__ == "__main__":
    main()

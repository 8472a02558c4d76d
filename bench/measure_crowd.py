"""5,000 runs that wait for a person: what they cost two workers, and a run that starts beside them."""

import argparse
import json
import tempfile
import time
from pathlib import Path
from uuid import UUID

import installation
import processes
from common import percentile, process_cpu_seconds
from measuring import fake_model

PARKED = 5000
SINGLES = 20
QUIET_S = 10.0


def main() -> None:
    """Measure and print JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--dsn", required=True)
    parser.add_argument("--runs", type=int, default=PARKED)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as data_dir, fake_model() as model_url:
        base = installation.environment(options.dsn, data_dir, ANTHROPIC_API_KEY="bench", ANTHROPIC_BASE_URL=model_url)
        installation.boot(options.dsn, data_dir)
        crowd, other = installation.world("crowd", asks=True), installation.world("other")
        log = Path(data_dir) / "log"
        with processes.web(base, log) as api, processes.command(base, log, "qcluster", "--workers", "2") as cluster:
            api.key = other.key
            single(api, other, "warm")
            found = {"runs": options.runs, **figures("none", api, other, cluster.pid)}
            begun = time.perf_counter()
            for number in range(options.runs):
                crowd.submit({"number": number})
            processes.wait_for(lambda: crowd.waiting() == options.runs, patience_s=600, pause_s=0.2)
            found["parked_per_s"] = options.runs / (time.perf_counter() - begun)
            found |= figures("crowd", api, other, cluster.pid)
    print(json.dumps(found))


def figures(label: str, api: processes.Api, world: installation.World, cluster: int) -> dict[str, float]:
    """The workers' memory and idle CPU, and the start of single runs."""
    before = sum(process_cpu_seconds(pid) for pid in processes.tree(cluster))
    time.sleep(QUIET_S)
    idle = sum(process_cpu_seconds(pid) for pid in processes.tree(cluster)) - before
    starts = [single(api, world, number) for number in range(SINGLES)]
    found = {"pss_mb": processes.pss_mb(cluster), "idle_cpu_share": idle / QUIET_S}
    found |= {"started_p50_ms": 1000 * percentile(starts, 0.5), "started_p95_ms": 1000 * percentile(starts, 0.95)}
    return {f"{name}_{label}": value for name, value in found.items()}


def single(api: processes.Api, world: installation.World, name: object) -> float:
    """Start a run into the quiet and wait for its end; returns the seconds until it was started."""
    begun = time.time()
    run = UUID(api.submit({"single": name}))
    api.hang_up()
    processes.wait_for(lambda: world.outcomes([run])[0][0] == "completed", pause_s=0.05)
    return world.started_at(run) - begun


if __name__ == "__main__":
    main()

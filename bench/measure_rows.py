"""A million ended runs in the tenant: what an engine step and a page of the run list cost beside an empty table.

The rows are loaded by the superuser, so only the measured work goes through the product.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable

import installation
import psycopg
from common import STEPS_PER_RUN, cpu_seconds, percentile
from peers.countersign import Engine, model_function

RUNS = 40
PAGES = 60
LOAD = """
INSERT INTO agents_run (id, tenant_id, agent_id, version_id, principal_id, requested_by_id, status, seq, epoch,
    priority, created_at, ended_at, output_seq, model_calls, tool_calls, input_tokens, output_tokens,
    cache_read_input_tokens, cache_creation_input_tokens, cost_nano, reserved_usd_nano, reserved_tokens, metadata)
SELECT gen_random_uuid(), r.tenant_id, r.agent_id, r.version_id, r.principal_id, r.requested_by_id, 'completed', 28, 1,
    0, now() - n * interval '1 second', now() - n * interval '1 second', 28, 6, 5, 1000, 100, 0, 0, 1000000, 0, 0, '{}'
FROM agents_run r, generate_series(1, %s) AS n WHERE r.id = %s
"""


def main() -> None:
    """Measure and print JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--dsn", required=True)
    parser.add_argument("--rows", type=int, default=1_000_000)
    options = parser.parse_args()
    options.client = "none"
    with tempfile.TemporaryDirectory() as data_dir:
        installation.boot(options.dsn, data_dir)
        engine = Engine(model_function(options), "rows")
        found = {f"{name}_empty": value for name, value in measured(engine).items()}
        with psycopg.connect(options.dsn, autocommit=True) as owner:
            owner.execute(LOAD, [options.rows, engine.runs[0]])
            owner.execute("VACUUM ANALYZE agents_run")
        found |= {f"{name}_loaded": value for name, value in measured(engine).items()}
        engine.close()
    print(json.dumps({"rows": options.rows, **found}))


def measured(engine: Engine) -> dict[str, float]:
    """CPU and time of a step, one run at a time; milliseconds of the run list's first page."""
    begun, cpu = time.perf_counter(), cpu_seconds()
    for number in range(RUNS):
        engine.run(number)
    steps = RUNS * STEPS_PER_RUN
    step = {"wall_ms": 1000 * (time.perf_counter() - begun) / steps, "cpu_ms": 1000 * (cpu_seconds() - cpu) / steps}
    return {**step, **{f"list_{name}_ms": 1000 * took for name, took in pages(engine).items()}}


def pages(engine: Engine) -> dict[str, float]:
    """Seconds for the newest 50 runs, of all and of one status."""
    from agents.models import Run
    from agents.presenters import with_names
    from db.scope import tenant_scope

    def timed(page: Callable[[], object]) -> float:
        took = []
        for _ in range(PAGES):
            begun = time.perf_counter()
            with tenant_scope(engine.world.tenant_id):
                page()
            took.append(time.perf_counter() - begun)
        return percentile(took, 0.5)

    def newest(**only: str) -> list[Run]:
        return list(with_names(Run.objects.filter(**only)).order_by("-id")[:50])

    return {"all": timed(newest), "completed": timed(lambda: newest(status="completed"))}


if __name__ == "__main__":
    main()

"""A million ended runs and decided questions: what a step, and a page of a list, cost beside empty tables.

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

LOAD_QUESTIONS = """
INSERT INTO escalations_escalation (id, tenant_id, run_id, agent_id, seq, kind, status, reason, allowed, digest,
    requester_id, required, queue, requested_at, due_at, decision, decided_at)
SELECT gen_random_uuid(), r.tenant_id, r.id, r.agent_id, 5, 'tool_call', CASE WHEN n <= 1000 THEN 'open' ELSE 'decided'
    END, 'approval_required', '{approve,reject}', repeat('0', 64), r.principal_id, 1, NULL,
    now() - n * interval '1 second', NULL, NULL, NULL
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
            owner.execute(LOAD_QUESTIONS, [options.rows, engine.runs[0]])
            owner.execute("VACUUM ANALYZE agents_run, escalations_escalation")
        found |= {f"{name}_loaded": value for name, value in measured(engine).items()}
        engine.close()
    print(json.dumps({"rows": options.rows, **found}))


def measured(engine: Engine) -> dict[str, float]:
    """CPU and time of a step, one run at a time; milliseconds of the lists' first pages."""
    begun, cpu = time.perf_counter(), cpu_seconds()
    for number in range(RUNS):
        engine.run(number)
    steps = RUNS * STEPS_PER_RUN
    step = {"wall_ms": 1000 * (time.perf_counter() - begun) / steps, "cpu_ms": 1000 * (cpu_seconds() - cpu) / steps}
    return {**step, **{f"{name}_ms": 1000 * took for name, took in pages(engine).items()}}


def pages(engine: Engine) -> dict[str, float]:
    """Seconds for the newest 50 runs, of all and of one status, and questions, of all and of the open ones.

    `nothing` is a query that touches no table.
    """
    from django.db import connection

    from agents.models import Run
    from agents.presenters import with_names
    from db.scope import tenant_scope
    from escalations.permissions import concerning
    from escalations.presenters import with_votes

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

    def asked(**only: str) -> list[object]:
        return list(with_votes(concerning(engine.world.developer).filter(**only)).order_by("-requested_at", "-id")[:50])

    def nothing() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")

    return {
        "nothing": timed(nothing),
        "list_all": timed(newest),
        "list_completed": timed(lambda: newest(status="completed")),
        "inbox_all": timed(asked),
        "inbox_open": timed(lambda: asked(status="open")),
    }


if __name__ == "__main__":
    main()

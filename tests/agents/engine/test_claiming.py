"""What a claim looks at, whomever it takes."""

import json
from typing import Any

import psycopg
import pytest
from django.db import connection

from agents.engine import statements
from db.embedded import Server
from tests.worlds import World

FLOOD = 5000
EVERYTHING = "00000000-0000-0000-0000-000000000000"


@pytest.mark.parametrize(
    ("claim", "index"), [(statements.CLAIM, "run_ready"), (statements.CLAIM_BEGUN, "run_ready_begun")]
)
def test_begun_runs_are_not_searched_for_among_the_queued(
    claim: Any, index: str, acme: World, embedded_server: Server
) -> None:
    acme.define("idle", role="You wait.")
    run = acme.submit("idle", {})
    with psycopg.connect(embedded_server.dsn(database=connection.settings_dict["NAME"])) as superuser:
        columns = [row[0] for row in superuser.execute(_COLUMNS)]
        others = ", ".join(f'"{each}"' for each in columns if each not in ("id", "idempotency_key"))
        superuser.execute(
            f"INSERT INTO agents_run (id, {others}) SELECT gen_random_uuid(), {others} "  # noqa: S608 - our columns
            "FROM agents_run, generate_series(1, %s) WHERE id = %s",
            [FLOOD, run.id],
        )
        superuser.execute("SET LOCAL enable_seqscan = off")
        superuser.execute(f"PREPARE asked AS {claim.sql.decode()}")
        explained = superuser.execute(f"EXPLAIN (FORMAT JSON) EXECUTE asked ('60 s', 'test', '{EVERYTHING}')")
        (plan,) = explained.fetchone() or ()
        superuser.execute("DEALLOCATE asked")
        superuser.rollback()

    assert f'"Index Name": "{index}"' in json.dumps(plan)


_COLUMNS = """
SELECT column_name FROM information_schema.columns WHERE table_schema = 'public' AND table_name = 'agents_run'
"""

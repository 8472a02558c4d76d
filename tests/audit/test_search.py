"""Finding records stays flat: each filter is served by an index, in the order that pages have, beside many others."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper

from audit import search
from audit.search import Wanted
from db import roles
from db.models import new_id
from db.scope import tenant_scope

Json = Any

RUNS, STEPS, OTHERS = 300, 20, 600

#: A tenant's journal since the month began: runs with their steps, and what people did beside them.
_FILL = """
INSERT INTO audit_record (id, at, tenant_id, stream, seq, v, action, actor, subject, outcome, facts)
SELECT audit_record_id(at, (n %% 16000)::integer), at, %(tenant)s, md5(%(tenant)s || run)::uuid, seq, 1, action, actor,
       subject, 'ok', '{}'
FROM (
    SELECT n, 1 + n / %(steps)s AS run, 1 + n %% %(steps)s AS seq,
           CASE n %% %(steps)s WHEN 0 THEN 'run.submitted' ELSE 'tool.finished' END AS action,
           CASE n %% %(steps)s WHEN 0 THEN 'user:' || n %% 7 ELSE 'engine' END AS actor, NULL AS subject
    FROM generate_series(0, %(runs)s * %(steps)s - 1) AS n
    UNION ALL
    SELECT n, -n, NULL, CASE n %% 100 WHEN 0 THEN 'agent.published' ELSE 'login.succeeded' END, 'user:' || n %% 7,
           'user:' || n %% 300
    FROM generate_series(0, %(others)s - 1) AS n
) AS happened, LATERAL (
    SELECT date_trunc('month', now(), 'UTC')
           + n * (now() - date_trunc('month', now(), 'UTC')) / (%(runs)s * %(steps)s + 1) AS at) AS clock
"""


@pytest.fixture(scope="module")
def tenants(django_db_setup: None, django_db_blocker: Any) -> list[UUID]:
    """Three tenants with long journals; the first page of each is looked for below."""
    made = [new_id() for _ in range(3)]
    with django_db_blocker.unblock():
        from django.db import connections

        with roles.journal("owner"), connections["owner"].cursor() as cursor:
            for tenant in made:
                cursor.execute("SELECT set_config('app.tenant', %s, true)", [str(tenant)])
                counts = {"runs": RUNS, "steps": STEPS, "others": OTHERS}
                cursor.execute(_FILL, {"tenant": str(tenant), **counts})
            cursor.execute("ANALYZE audit_record")
        connections.close_all()
    return made


def nodes(plan: Json) -> list[Json]:
    """Return every node of a plan."""
    return [plan, *(node for child in plan.get("Plans", ()) for node in nodes(child))]


def first_page(wanted: Wanted) -> tuple[list[Json], list[Any]]:
    """Return the plan's nodes, as it went, and the rows of the first page."""
    page = search.records(wanted).order_by("-id")[:51]
    with connection.cursor() as cursor:
        sql, parameters = page.query.sql_with_params()
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}", parameters)
        found = cursor.fetchone()[0]
    plan = found if isinstance(found, list) else json.loads(found)
    return nodes(plan[0]["Plan"]), list(page)


CASES = {
    "everything": (Wanted(), "pkey"),
    "a time": (Wanted(until=datetime.now(UTC) - timedelta(microseconds=1)), "pkey"),
    "an actor": (Wanted(actor="user:3"), "actor"),
    "an actor and a type": (Wanted(actor="user:3", action="run.submitted"), "actor"),
    "a rare type": (Wanted(action="agent.published", beyond_runs=True), "action"),
    "a subject": (Wanted(subject="user:12"), "subject"),
    "the engine": (Wanted(actor=search.ENGINE), "pkey"),
    "a step's type": (Wanted(action="tool.finished"), "pkey"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_page_costs_the_same_whatever_else_is_in_the_journal(database: None, tenants: list[UUID], case: str) -> None:
    wanted, index = CASES[case]
    with tenant_scope(tenants[1]):
        plan, page = first_page(wanted)

    assert page == sorted(page, key=lambda record: record.id, reverse=True)
    assert {record.tenant_id for record in page} == {tenants[1]}
    used = [node["Index Name"] for node in plan if "Index Name" in node and node["Actual Rows"]]
    assert used, plan
    assert all(index in name for name in used), used
    assert all(node.get("Rows Removed by Filter", 0) < 500 for node in plan), plan
    assert not [node for node in plan if node["Node Type"] == "Seq Scan" and node["Actual Rows"]]


def test_a_runs_records_are_found_by_its_stream(database: None, tenants: list[UUID]) -> None:
    with tenant_scope(tenants[0]):
        run = search.records(Wanted(action="run.submitted")).order_by("-id")[0].stream
        plan, page = first_page(Wanted(run=run))

    assert len(page) == STEPS
    assert any(node.get("Index Name", "").endswith("_stream") for node in plan if node["Actual Rows"])


@pytest.mark.usefixtures("database")
def test_the_partial_indexes_hold_no_step_of_a_run(owner_connection: BaseDatabaseWrapper) -> None:
    """What a step costs to write does not grow with what people want to find."""
    with owner_connection.cursor() as cursor:
        cursor.execute("SELECT indexdef FROM pg_indexes WHERE tablename = 'audit_record' ORDER BY 1")
        partial = [text.partition(" WHERE ")[2] for (text,) in cursor.fetchall()]

    assert sorted(filter(None, partial)) == ["(actor <> 'engine'::text)", "(seq IS NULL)", "(subject IS NOT NULL)"]

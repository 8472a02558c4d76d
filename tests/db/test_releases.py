"""The last landed release's processes go on working on the migrated schema (docs/running.md, "Upgrade")."""

import json
import re
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.conf import settings

from db.roles import APP, DISPATCH

RECORDINGS = sorted((Path(__file__).parent / "releases").glob("*.json"))
LAST = json.loads(RECORDINGS[-1].read_text())
ROLES = {"app": APP, "dispatch": DISPATCH}

Superuser = psycopg.Connection[tuple[Any, ...]]


def test_the_last_release_is_recorded_and_no_other() -> None:
    assert [path.name for path in RECORDINGS] == ["0.2.json"]


@pytest.mark.parametrize("name", LAST["statements"])
def test_its_statements_are_understood_and_allowed(name: str, superuser: Superuser) -> None:
    statement = LAST["statements"][name]
    places = max(map(int, re.findall(r"\$(\d+)", statement["query"])), default=0)

    # On a connection of its own: what is prepared on the pool's is `db.trip`'s.
    with superuser.transaction(force_rollback=True):
        superuser.execute(f"SET LOCAL ROLE {ROLES[statement['role']]}")
        superuser.execute("SELECT set_config('app.tenant', '00000000-0000-0000-0000-000000000000', true)")
        superuser.execute(f"PREPARE asked AS {statement['query']}")
        given = f"({', '.join(['NULL'] * places)})" if places else ""
        # It looks up every name and asks for every privilege, and runs nothing.
        assert superuser.execute(f"EXPLAIN EXECUTE asked{given}").fetchall()


def test_its_models_find_their_columns_and_may_leave_the_others_out(superuser: Superuser) -> None:
    rows = superuser.execute(
        "SELECT table_name, column_name, is_nullable = 'NO' AND column_default IS NULL AND is_identity = 'NO' "
        "AND is_generated = 'NEVER' FROM information_schema.columns WHERE table_schema = 'public'"
    )
    found: dict[str, dict[str, bool]] = {}
    for table, column, needed in rows:
        found.setdefault(table, {})[column] = needed

    for table, columns in LAST["columns"].items():
        there = found.get(table, {})
        assert set(columns) <= set(there), f"{table} has lost {set(columns) - set(there)}, which the last release reads"
        for column in set(there) - set(columns):
            assert not there[column], f"{table}.{column}: the last release adds rows without it; give it a db_default"


def test_the_recording_is_of_this_projects_code() -> None:
    assert "agents_run" in LAST["columns"]
    assert "agents_run" in LAST["statements"]["STEP"]["query"]
    assert str(settings.BASE_DIR) not in RECORDINGS[-1].read_text()

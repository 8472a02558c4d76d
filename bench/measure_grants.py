"""The check of a grant among 1,000 grants and among 200,000, on 1,000 tools: as a query of its own, and in a step.

Half of the grants are members' own, half are teams'; every second one of a team has a condition. COPY loads them past
the product, as the superuser; what is measured is the product's own statements, as the runtime role, prepared.
"""

import argparse
import json
import random
import tempfile
import time
from collections.abc import Iterable
from itertools import islice
from typing import Any
from uuid import UUID, uuid4

import installation
import psycopg
from common import STEPS_PER_RUN, cpu_seconds, percentile
from peers.countersign import Engine, model_function

TOOLS = 1_000
FEW, MANY = 1_000, 200_000
HOLDERS = MANY // TOOLS // 2  # members with grants of their own, and as many teams of one member each
ASKS = 4_000
LOOKS = 200  # of these asks the visited pages are counted
RUNS = 40
CONDITION = "args.key.startsWith('k') && principal.role == 'developer'"

USER = "tenants_user (id, email, name, password, is_superuser, is_active, is_staff, is_service, created_at)"
MEMBER = "tenants_membership (id, tenant_id, user_id, role, created_at)"
TEAM = "tenants_team (id, tenant_id, slug, name, group_id)"
GROUPS = "tenants_user_groups (user_id, group_id)"
TOOL = "agents_tool (id, tenant_id, name, created_at, updated_at)"
TO_USER = "agents_toolusergrant (id, tenant_id, permission_id, user_id, content_object_id)"
TO_TEAM = "agents_toolteamgrant (id, tenant_id, permission_id, group_id, content_object_id, condition)"


class Crowd:
    """Members, teams and tools of the engine's tenant, and who was granted what."""

    def __init__(self, owner: psycopg.Connection[Any], tenant: UUID) -> None:
        self.owner, self.tenant = owner, tenant
        self.members = [uuid4() for _ in range(HOLDERS)]
        self.of_teams = [uuid4() for _ in range(HOLDERS)]
        self.tools = [uuid4() for _ in range(TOOLS)]
        self.loaded = 0
        everybody = [*self.members, *self.of_teams]
        named = [(user, f"{user}@many.example", "", "", False, True, False, False, "now") for user in everybody]
        self._copy(USER, named)
        self._copy(MEMBER, ((uuid4(), tenant, user, "developer", "now") for user in everybody))
        self._copy("auth_group (name)", ((f"team:{user}",) for user in self.of_teams))
        found = owner.execute("SELECT name, id FROM auth_group WHERE name LIKE 'team:%'").fetchall()
        groups = dict(found)
        self.groups = [groups[f"team:{user}"] for user in self.of_teams]
        self._copy(TEAM, ((uuid4(), tenant, f"many-{group}", "", group) for group in self.groups))
        self._copy(GROUPS, zip(self.of_teams, self.groups, strict=True))
        self._copy(TOOL, ((tool, tenant, f"many_{place}", "now", "now") for place, tool in enumerate(self.tools)))
        self.use = owner.execute("SELECT id FROM auth_permission WHERE codename = 'use'").fetchone()

    def load(self, grants: int) -> None:
        """Bring the grants up to so many, those of before among them."""
        assert self.use is not None
        use, places = self.use[0], [self._place(number) for number in range(self.loaded // 2, grants // 2)]
        self._copy(TO_USER, ((uuid4(), self.tenant, use, self.members[who], self.tools[what]) for who, what in places))
        rows = (
            (uuid4(), self.tenant, use, self.groups[who], self.tools[what], CONDITION if what % 2 else None)
            for who, what in places
        )
        self._copy(TO_TEAM, rows)
        self.loaded = grants
        self.owner.execute("VACUUM ANALYZE")

    def asks(self) -> Iterable[tuple[UUID, UUID]]:
        """Members and tools to ask about, the same each time: one in two holds the tool, from the few grants on."""
        chance = random.Random(7)  # noqa: S311
        for number in range(ASKS):
            who, what = self._place(chance.randrange(FEW // 2))
            holders = self.members if number % 2 else self.of_teams
            yield (holders[who] if number % 4 < 2 else chance.choice(holders)), self.tools[what]

    def _place(self, number: int) -> tuple[int, int]:
        return number % HOLDERS, (number * 7 + number // TOOLS) % TOOLS

    def _copy(self, into: str, rows: Iterable[tuple[Any, ...]]) -> None:
        with self.owner.cursor() as cursor, cursor.copy(f"COPY {into} FROM STDIN".encode()) as copy:
            for row in rows:
                copy.write_row(row)


def main() -> None:
    """Measure and print JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--dsn", required=True)
    options = parser.parse_args()
    options.client = "none"
    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as data_dir, psycopg.connect(options.dsn, autocommit=True) as owner:
        installation.boot(options.dsn, data_dir)
        engine = Engine(model_function(options), "grants")
        crowd = Crowd(owner, engine.world.tenant_id)
        for size, grants in (("few", FEW), ("many", MANY)):
            crowd.load(grants)
            found |= {f"{name}_{size}": value for name, value in measured(crowd, engine, options.dsn).items()}
        loaded = owner.execute("SELECT (SELECT count(*) FROM agents_toolusergrant), count(*) FROM agents_toolteamgrant")
        counts = loaded.fetchone()
        engine.close()
    assert counts is not None
    print(json.dumps({"tools": TOOLS, "few": FEW, "many": sum(counts), **found}))


def measured(crowd: Crowd, engine: Engine, dsn: str) -> dict[str, float]:
    """Milliseconds of each query, median and 95th of a hundred, and its pages; and of a step, one run at a time."""
    from access.check import GrantTables, granted_sql, holdings_sql

    tables = GrantTables("agents_toolusergrant", "agents_toolteamgrant", conditional=True)
    found: dict[str, float] = {}
    with psycopg.connect(dsn) as connection:
        connection.execute("SET ROLE countersign_app")
        connection.execute("SELECT set_config('app.tenant', %s, false)", [str(crowd.tenant)])
        for name, query in (("granted", granted_sql(tables)), ("holdings", holdings_sql(tables))):
            took = [asked(connection, query, crowd.tenant, *ask) for ask in crowd.asks()][ASKS // 10 :]
            found |= {f"{name}_p50_ms": 1000 * percentile(took, 0.5), f"{name}_p95_ms": 1000 * percentile(took, 0.95)}
            visited = [pages(connection, query, crowd.tenant, *ask) for ask in islice(crowd.asks(), LOOKS)]
            found[f"{name}_pages"] = sum(visited) / LOOKS
    begun, cpu = time.perf_counter(), cpu_seconds()
    for number in range(RUNS):
        engine.run(number)
    steps = RUNS * STEPS_PER_RUN
    found["step_wall_ms"] = 1000 * (time.perf_counter() - begun) / steps
    found["step_cpu_ms"] = 1000 * (cpu_seconds() - cpu) / steps
    return found


def asked(connection: psycopg.Connection[Any], query: str, tenant: UUID, user: UUID, tool: UUID) -> float:
    """Ask once; returns the seconds it took."""
    begun = time.perf_counter()
    connection.execute(query.encode(), parameters(tenant, user, tool), prepare=True).fetchall()
    return time.perf_counter() - begun


def pages(connection: psycopg.Connection[Any], query: str, tenant: UUID, user: UUID, tool: UUID) -> int:
    """Ask once; returns the pages it visited, which no other work on the machine changes."""
    explain = f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {query}".encode()
    found = psycopg.ClientCursor(connection).execute(explain, parameters(tenant, user, tool)).fetchone()
    assert found is not None
    plan = found[0][0]["Plan"]
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


def parameters(tenant: UUID, user: UUID, tool: UUID) -> dict[str, Any]:
    """The queries' parameters for one member and one tool."""
    return {"objects": [tool], "users": [user], "tenant": tenant, "permission": "use", "facts": False}


if __name__ == "__main__":
    main()

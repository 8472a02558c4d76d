"""A Countersign installation to measure: a database of its own on the bench's server, one tenant, one agent, one tool.

`boot` makes a process one of the installation's; it wants PYTHONPATH as `measuring.OURS` sets it.
"""

import os
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import lookup_tool  # registers the tool's function
from common import INPUT_SCHEMA
from fake_model import MODEL
from measuring import OURS, end_when_told
from psycopg.conninfo import conninfo_to_dict

AGENT = "looker"
LIMITS: dict[str, Any] = {"turns": 1000, "tool_calls": 2000, "tokens": 10**9, "usd": "1000"}


def environment(dsn: str, data_dir: str, **more: str) -> dict[str, str]:
    """The settings of every process of the installation; dsn: the superuser's, of the installation's own database."""
    at = conninfo_to_dict(dsn)
    place = f"{at['host']}:{at['port']}/{at['dbname']}"
    inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    return {
        **inherited,
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "DATABASE_URL": f"postgresql://countersign_app@{place}",
        "DATABASE_OWNER_URL": f"postgresql://countersign_owner@{place}",
        "DATA_DIR": data_dir,
        "LOG_LEVEL": "WARNING",
        "PYTHONPATH": OURS["PYTHONPATH"],
        **more,
    }


def boot(dsn: str, data_dir: str, **more: str) -> None:
    """Make this process one of the installation's: settings, Django, and a migrated database."""
    end_when_told()
    from config.env import KNOWN

    for name in KNOWN:  # the installation's settings alone count, not those of who runs the bench
        os.environ.pop(name, None)
        os.environ.pop(f"{name}_FILE", None)
    os.environ.update(environment(dsn, data_dir, **more))
    import django

    django.setup()
    from django.core.management import call_command

    from db import provision

    if not _migrated():
        provision.provision(dsn)
        call_command("migrate", verbosity=0, interactive=False)
    _close()


def _migrated() -> bool:
    import psycopg
    from django.conf import settings

    at = settings.DATABASES["owner"]
    dsn = f"host={at['HOST']} port={at['PORT']} dbname={at['NAME']} user=postgres"
    with psycopg.connect(dsn) as connection:
        return connection.execute("SELECT to_regclass('agents_run')").fetchone() != (None,)


def _close() -> None:
    from django.db import connections

    for connection in connections.all(initialized_only=True):
        connection.close()


@dataclass
class World:
    """A tenant whose developer starts runs by a grant, and uses the tool by a grant: nothing is allowed by role."""

    tenant_id: UUID
    developer: Any
    key: str

    def submit(self, run_input: Any) -> UUID:
        """Queue a run as the developer; the connection is given back as at the end of a request."""
        from django.db import connection

        from agents.actions.runs import Request, submit

        try:
            return submit(Request(agent=AGENT, input=run_input), acting_as=self.developer).run.id
        finally:
            connection.close()

    def outcomes(self, runs: list[UUID]) -> list[tuple[str, Any]]:
        """Status and output of these runs."""
        from agents.models import Run
        from audit import journal
        from db.scope import tenant_scope

        with tenant_scope(self.tenant_id):
            rows = list(Run.objects.filter(id__in=runs).values_list("id", "status", "output_seq"))
            ended = journal.payloads_at((run, seq) for run, _, seq in rows if seq)
        return [(status, (ended.get((run, seq)) or {}).get("output")) for run, status, seq in rows]

    def ended(self) -> int:
        """How many runs of the tenant have ended."""
        from agents.models import Run
        from db.scope import tenant_scope

        with tenant_scope(self.tenant_id):
            return Run.objects.filter(ended_at__isnull=False).count()

    def waiting(self) -> int:
        """How many runs of the tenant wait for a decision."""
        from agents.models import Run
        from db.scope import tenant_scope

        with tenant_scope(self.tenant_id):
            return Run.objects.filter(status="waiting", waiting_for="decision").count()

    def started_at(self, run: UUID) -> float:
        """When the run started, by its journal: Unix time."""
        from audit import journal
        from db.scope import tenant_scope

        with tenant_scope(self.tenant_id):
            return next(each.at.timestamp() for each in journal.read(run) if each.action == "run.started")

    def history(self, run: UUID) -> str:
        """What happened in a run, for the person who must find out why."""
        from audit import journal
        from db.scope import tenant_scope

        with tenant_scope(self.tenant_id):
            return "\n".join(f"{each.seq} {each.action} {each.facts} {each.payload}" for each in journal.read(run))


def world(name: str, *, asks: bool = False) -> World:
    """Make a tenant with everything in it. asks: whether each call of the tool waits for a person."""
    from access import grants
    from agents.actions import agents, tools, versions
    from agents.models import Tool
    from db.scope import tenant_scope
    from tenants.actions import api_keys, members, tenants
    from tenants.models import Role, User
    from tenants.principal import COMMAND, Principal

    tenant = tenants.create(slug=name, acting_as=COMMAND)

    def person(called: str, role: Role) -> Principal:
        member = members.put(tenant=tenant, email=f"{called}@{name}.example", role=role, acting_as=COMMAND)
        return Principal(tenant.id, member.user_id, role)

    operator, developer = person("operator", Role.OPERATOR), person("developer", Role.DEVELOPER)
    with tenant_scope(tenant.id):
        tools.put("lookup", _tool() | ({"approval": {"when": "true"}} if asks else {}), acting_as=operator)
        draft = {"role": "You look keys up.", "model": {"id": MODEL, "max_tokens": 2048}, "tools": ["lookup"]}
        made = versions.create(
            agents.put_draft(AGENT, draft | {"limits": LIMITS}, acting_as=operator), acting_as=operator
        )
        versions.publish(made.version.agent, made.version.number, acting_as=operator)
        user = User.objects.get(id=developer.user_id)
        grants.add(Tool.objects.get(name="lookup"), "use", user, acting_as=operator)
        grants.add(made.version.agent, "run", user, acting_as=operator)
    scopes = ["runs:read", "runs:write"]
    email = f"developer@{name}.example"
    _, key = api_keys.create(tenant=tenant, name="bench", scopes=scopes, member_email=email, acting_as=COMMAND)
    _close()
    return World(tenant.id, developer, key)


def _tool() -> Any:
    return {
        "description": "Look a key up.",
        "type": "python",
        "python": {"function": lookup_tool.NAME},
        "input_schema": INPUT_SCHEMA,
        "effect": "read",
    }

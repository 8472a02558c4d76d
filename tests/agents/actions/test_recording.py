"""A change and its record stand or fall together, for each action on definitions."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection

from access import grants
from agents.actions import agents, sources, tools, versions
from audit import journal
from db.scope import tenant_scope
from escalations.actions import queues
from tenants.actions import teams
from tenants.models import User
from tenants.principal import COMMAND
from tests.agents.actions.specs import FETCH, LOAN
from tests.worlds import World, world
from vault.actions import secrets

pytestmark = pytest.mark.usefixtures("database")

#: Everything an action on definitions may write to.
TABLES = [
    "agents_agent",
    "agents_agentversion",
    "agents_tool",
    "agents_toolversion",
    "agents_datasource",
    "agents_toolusergrant",
    "agents_toolteamgrant",
    "agents_agentusergrant",
    "agents_agentteamgrant",
    "escalations_queue",
    "escalations_queuemember",
    "escalations_queueteam",
    "tenants_team",
    "tenants_teammember",
    "vault_secret",
    "audit_record",
    "audit_payload",
]


def bob(here: World) -> User:
    return User.objects.get(id=here.bob.user_id)


def on_agent(action: Callable[..., Any], *more: Any) -> Callable[[World], Any]:
    return lambda here: action(here.agent("loan"), *more, acting_as=here.alice)


def remove_grant(here: World) -> None:
    with tenant_scope(here.tenant_id):
        tool = tools.by_name("fetch")
        grants.remove(tool, grants.of(tool)[0].id, acting_as=here.alice)


def add_grant(here: World) -> None:
    with tenant_scope(here.tenant_id):
        grants.add(here.agent("loan"), "edit", bob(here), acting_as=here.alice)


ACTIONS: dict[str, Callable[[World], Any]] = {
    "a new tool": lambda here: tools.put("new", FETCH, acting_as=here.alice),
    "a changed tool": lambda here: tools.put("fetch", {**FETCH, "timeout_s": 1}, acting_as=here.alice),
    "a new agent": lambda here: agents.put_draft("new", LOAN, acting_as=here.alice),
    "a changed draft": lambda here: agents.put_draft("loan", {**LOAN, "role": "Third."}, acting_as=here.alice),
    "a version": on_agent(versions.create),
    "a publication": on_agent(versions.publish, 1),
    "a rollback": on_agent(versions.rollback),
    "a source": lambda here: sources.put("sales", {"engine": "sqlite", "url": "a.db"}, acting_as=here.alice),
    "a queue": lambda here: queues.put("q", {"members": [f"bob@{here.slug}.example"]}, acting_as=here.alice),
    "a grant": add_grant,
    "a grant taken back": remove_grant,
    "a secret": lambda here: secrets.put("token", "correct horse", acting_as=here.alice),
    "a secret forgotten": lambda here: secrets.remove("kept", acting_as=here.alice),
    "a team": lambda here: teams.put(
        tenant_id=here.tenant_id, slug="t", emails=[f"bob@{here.slug}.example"], acting_as=COMMAND
    ),
}


@pytest.fixture
def here() -> World:
    made = world()
    secrets.put("kept", "correct horse", acting_as=made.alice)
    tools.put("fetch", FETCH, acting_as=made.alice)
    for role in ("First.", "Second."):
        agent = agents.put_draft("loan", {**LOAN, "role": role}, acting_as=made.alice)
        number = versions.create(agent, acting_as=made.alice).version.number
        versions.publish(agent, number, acting_as=made.alice)
    agents.put_draft("loan", LOAN, acting_as=made.alice)
    with tenant_scope(made.tenant_id):
        grants.add(tools.by_name("fetch"), "use", bob(made), acting_as=made.alice)
    return made


def contents(here: World) -> dict[str, set[str]]:
    with tenant_scope(here.tenant_id), connection.cursor() as cursor:
        found = {}
        for table in TABLES:
            cursor.execute(f"SELECT t::text FROM {table} t WHERE tenant_id = %s", [here.tenant_id])  # noqa: S608
            found[table] = {row[0] for row in cursor.fetchall()}
        return found


@pytest.mark.parametrize("name", ACTIONS)
def test_an_action_writes_exactly_one_record(here: World, name: str) -> None:
    before = contents(here)["audit_record"]

    ACTIONS[name](here)

    assert len(contents(here)["audit_record"] - before) == 1


@pytest.mark.parametrize("name", ACTIONS)
def test_a_failing_record_takes_the_change_back(here: World, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = contents(here)

    def fail(*args: Any, **more: Any) -> None:
        raise RuntimeError("the journal is not to be had")

    with monkeypatch.context() as patched:
        patched.setattr(journal, "record", fail)
        with pytest.raises(RuntimeError, match="not to be had"):
            ACTIONS[name](here)

    assert contents(here) == before

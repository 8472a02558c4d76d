"""Many at once on one object: each change is whole, and the numbers have no holes."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection

from access import grants
from agents.actions import agents, tools, versions
from agents.errors import InvalidDocument
from agents.models import AgentVersion, ToolVersion
from db.scope import tenant_scope
from tenants.models import User
from tests.agents.actions.specs import FETCH, LOAN
from tests.worlds import World, world

pytestmark = pytest.mark.usefixtures("database")

AT_ONCE = 8


@pytest.fixture
def here() -> World:
    return world()


def race(action: Callable[[int], Any]) -> list[Any]:
    def one(number: int) -> Any:
        try:
            return action(number)
        finally:
            connection.close()

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(one, range(AT_ONCE)))


def test_definitions_of_one_new_tool(here: World) -> None:
    race(lambda number: tools.put("fetch", {**FETCH, "timeout_s": number + 1}, acting_as=here.alice))

    with tenant_scope(here.tenant_id):
        numbers = list(ToolVersion.objects.order_by("number").values_list("number", flat=True))
        live = tools.by_name("fetch").live
    assert numbers == list(range(1, AT_ONCE + 1))
    assert live is not None
    assert live.number == AT_ONCE


def test_the_same_definition_is_one_version(here: World) -> None:
    saved = race(lambda number: tools.put("fetch", FETCH, acting_as=here.alice))

    assert [each.changed for each in saved].count(True) == 1


def test_two_tools_do_not_become_each_others_fallback(here: World) -> None:
    for name in ("a", "b"):
        tools.put(name, FETCH, acting_as=here.alice)

    def name_the_other(number: int) -> str:
        name, other = ("a", "b") if number % 2 else ("b", "a")
        try:
            tools.put(name, {**FETCH, "fallback": other}, acting_as=here.alice)
        except InvalidDocument as error:
            return error.errors[0]["detail"]
        return ""

    said = race(name_the_other)

    with tenant_scope(here.tenant_id):
        assert [spec.get("fallback") for spec in tools.specs().values()].count(None) == 1
    assert any("The fallbacks go in a circle" in each for each in said)


def test_versions_of_one_agent(here: World) -> None:
    tools.put("fetch", FETCH, acting_as=here.alice)
    agent = agents.put_draft("loan", LOAN, acting_as=here.alice)

    def publish(number: int) -> None:
        agents.put_draft("loan", {**LOAN, "role": f"Role {number}."}, acting_as=here.alice)
        made = versions.create(agent, acting_as=here.alice)
        versions.publish(agent, made.version.number, acting_as=here.alice)

    race(publish)

    with tenant_scope(here.tenant_id):
        numbers = list(AgentVersion.objects.order_by("number").values_list("number", flat=True))
    assert numbers == list(range(1, len(numbers) + 1))
    assert numbers


def test_one_grant_is_granted_once(here: World) -> None:
    tool = tools.put("fetch", FETCH, acting_as=here.alice).version.tool
    bob = User.objects.get(id=here.bob.user_id)

    granted = race(lambda number: grants.add(tool, "use", bob, acting_as=here.alice))

    assert len({grant.id for grant in granted}) == 1

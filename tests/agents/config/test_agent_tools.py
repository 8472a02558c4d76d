"""Agents that call agents, as YAML and as they are published."""

import pytest

from agents.actions import agents, tools, versions
from agents.config.applying import Applied, apply, export, plan
from agents.config.errors import ConfigError
from agents.config.reading import read
from agents.errors import InvalidDocument
from db.scope import tenant_scope
from tests.agents.config.test_applying import here
from tests.worlds import World, world

__all__ = ["here"]

pytestmark = pytest.mark.usefixtures("database")

BOSS = """
apiVersion: countersign/v1
kind: Agent
metadata: {name: boss}
spec:
  role: Boss.
  model: {id: claude-opus-4-7}
  tools: [ask_clerk]
"""
ASK = """
apiVersion: countersign/v1
kind: Tool
metadata: {name: ask_clerk}
spec:
  description: Ask the clerk.
  type: agent
  agent: {name: clerk, mode: call}
"""
CLERK = """
apiVersion: countersign/v1
kind: Agent
metadata: {name: clerk}
spec:
  role: Clerk.
  model: {id: claude-opus-4-7}
  input_schema: {type: object, properties: {case: {type: string}}, required: [case]}
"""


def applied(world: World, *documents: str, publish: bool = True) -> Applied:
    """Apply these documents."""
    with tenant_scope(world.tenant_id):
        return apply(list(read("---".join(documents), "a.yaml")), publish=publish, acting_as=world.alice)


def test_the_order_of_the_file_is_free_and_what_is_applied_twice_changes_nothing(here: World) -> None:
    applied(here, BOSS, ASK, CLERK)
    assert applied(here, BOSS, ASK, CLERK).changes == []
    with tenant_scope(here.tenant_id):
        again = list(read(export(acting_as=here.alice), "out.yaml"))
        assert plan(again, publish=True, acting_as=here.alice).changes == []
        live = agents.by_slug("boss").live
    assert live is not None
    (pinned,) = live.compiled["tools"]
    assert pinned["document"]["input_schema"]["required"] == ["case"]
    assert pinned["document"]["effect"] == "write"


def test_an_agent_that_nobody_made_is_warned_of_and_stops_the_publishing(here: World) -> None:
    assert [str(each) for each in applied(here, ASK).warnings] == [
        "a.yaml:8: Tool ask_clerk: there is no Agent clerk yet."
    ]
    with pytest.raises(ConfigError, match="ask_clerk calls the agent clerk, which is not published"):
        applied(here, BOSS)
    applied(here, CLERK, publish=False)
    with pytest.raises(ConfigError, match="not published"):
        applied(here, BOSS)


def test_agents_may_call_each_other(here: World) -> None:
    back = ASK.replace("ask_clerk", "ask_boss").replace("clerk", "boss")
    circle = CLERK + "  tools: [ask_boss]\n"
    applied(here, BOSS, ASK, back, circle)
    assert applied(here, BOSS, ASK, back, circle).changes == []


def test_outside_of_files_the_agent_is_there_before_the_tool(here: World) -> None:
    spec = {"description": "Ask.", "type": "agent", "agent": {"name": "clerk"}}
    with tenant_scope(here.tenant_id):
        with pytest.raises(InvalidDocument, match="There is no agent clerk"):
            tools.put("ask_clerk", spec, acting_as=here.alice)
        agents.put_draft("clerk", {"role": "Clerk.", "model": {"id": "claude-opus-4-7"}}, acting_as=here.alice)
        tools.put("ask_clerk", spec, acting_as=here.alice)
        boss = {"role": "Boss.", "model": {"id": "claude-opus-4-7"}, "tools": ["ask_clerk"]}
        made = versions.create(agents.put_draft("boss", boss, acting_as=here.alice), acting_as=here.alice)
        with pytest.raises(InvalidDocument, match="not published"):
            versions.publish(made.version.agent, made.version.number, acting_as=here.alice)


def test_no_tool_reaches_another_tenants_agent(here: World) -> None:
    other = world()
    applied(other, CLERK)
    with tenant_scope(here.tenant_id), pytest.raises(InvalidDocument, match="There is no agent clerk"):
        tools.put(
            "ask_clerk", {"description": "Ask.", "type": "agent", "agent": {"name": "clerk"}}, acting_as=here.alice
        )

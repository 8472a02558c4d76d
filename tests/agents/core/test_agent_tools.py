"""Tools that call agents, as documents."""

from typing import Any

import pytest

from agents.core import agent_tools
from agents.core.document import tool_document, tool_problems
from agents.core.schema import Problem
from tests.agents.core.test_document import KINDS

Json = Any

CLERK: Json = {"description": "Ask the clerk.", "type": "agent", "agent": {"name": "clerk", "mode": "call"}}
PLAIN: Json = {"description": "Look.", "type": "http", "http": {"url": "https://x.example/"}}


def found(spec: Json, **tools: Json) -> list[Problem]:
    """What is wrong with a tool."""
    return tool_problems("ask", spec, kinds=KINDS, tools=tools)


def test_one_that_says_which_agent_is_fine_and_changes_things_unless_told_otherwise() -> None:
    assert found(CLERK) == []
    assert tool_document("ask", CLERK)["effect"] == "write"
    assert tool_document("ask", {**CLERK, "effect": "read"})["effect"] == "read"
    assert agent_tools.names(CLERK) == ["clerk"]


@pytest.mark.parametrize(
    ("change", "pointer", "words"),
    [
        ({"agent": {"name": "The Clerk"}}, "/agent/name", "Write the slug"),
        ({"agent": {}}, "/agent/name", "Write the slug"),
        ({"agent": {"name": "clerk", "mode": "shout"}}, "/agent/mode", "Write one of"),
        ({"agent": {"name": "clerk", "model": "x"}}, "/agent/model", "not known"),
        ({"agent": {"mode": "debate", "names": ["clerk"]}}, "/agent/names", "2 to 5"),
        ({"agent": {"mode": "debate", "names": ["clerk", "clerk"]}}, "/agent/names", "each once"),
        ({"agent": {"mode": "debate", "names": ["a", "b"], "rounds": 9}}, "/agent/rounds", "from 1 to 5"),
        ({"agent": {"mode": "debate", "names": ["a", "b"], "name": "c"}}, "/agent/name", "not known"),
        ({"timeout_s": 5}, "/timeout_s", "a run of its own"),
        ({"retries": {"attempts": 3}}, "/retries", "a run of its own"),
        ({"effect": "read", "cache_ttl_s": 60}, "/cache_ttl_s", "a run of its own"),
        ({"fallback": "look"}, "/fallback", "a run of its own"),
    ],
)
def test_a_bad_one_is_refused_with_its_place(change: Json, pointer: str, words: str) -> None:
    problems = found({**CLERK, **change}, look=PLAIN)
    assert [problem.pointer for problem in problems] == [pointer]
    assert words in problems[0].message


def test_no_tool_falls_back_on_an_agent_or_is_undone_by_one() -> None:
    assert "/fallback" in [each.pointer for each in found({**PLAIN, "fallback": "clerk"}, clerk=CLERK)]
    assert "/type" in [each.pointer for each in found(CLERK, look={**PLAIN, "fallback": "ask"})]
    undone = {**PLAIN, "effect": "write", "compensate_with": {"tool": "clerk"}}
    assert [each.pointer for each in found(undone, clerk=CLERK)] == ["/compensate_with/tool"]

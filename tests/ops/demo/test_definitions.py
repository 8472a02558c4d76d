"""The demo's agents and tools are valid documents, and its scripts speak only of them."""

from functools import cache
from pathlib import Path
from string import Template
from typing import Any

import pytest
import yaml
from django.conf import settings

from agents.core import document
from agents.core.builtin import ESCALATE
from agents.core.prompt import compile_system
from agents.core.schema import problems, validator
from agents.providers.rehearsal import scripts
from agents.providers.rehearsal.conversation import Conversation
from agents.providers.rehearsal.matching import fits
from agents.tools.registry import build_registry
from egress.client import Client
from ops.demo import cast, functions, seeding
from ops.demo.cases import CASES
from ops.demo.records import CUSTOMERS

Json = Any
AGENTS = ("loan-review", "refund-desk", "data-analyst", "risk-officer", "income-officer", "credit-committee")
assert functions  # importing it registers the functions that the definitions name


@cache
def documents(kind: str) -> dict[str, Json]:
    found = {}
    for path in seeding.DEFINITIONS.glob("*.yaml"):
        text = Template(path.read_text()).substitute(tenant="acme", service="http://127.0.0.1:9100/acme")
        for each in yaml.safe_load_all(text):
            assert each["apiVersion"] == "countersign/v1"
            if each["kind"] == kind:
                found[each["metadata"]["name"]] = each["spec"]
    return found


def kinds() -> Any:
    return build_registry(client=Client(), sources_dir=Path(settings.DATA_DIR))


@pytest.mark.parametrize("name", sorted(documents("Tool")))
def test_a_tool_is_valid(name: str) -> None:
    tools = documents("Tool")
    others = {other: spec for other, spec in tools.items() if other != name}

    assert document.tool_problems(name, tools[name], kinds=kinds(), tools=others) == []


@pytest.mark.parametrize("name", AGENTS)
def test_an_agent_is_valid(name: str) -> None:
    assert document.agent_problems(documents("Agent")[name], documents("Tool")) == []


def test_sources_and_queues_are_valid() -> None:
    assert [document.source_problems(spec) for spec in documents("DataSource").values()] == [[]]
    assert [document.queue_problems(spec) for spec in documents("Queue").values()] == [[], []]


@pytest.mark.parametrize("name", AGENTS)
def test_one_script_plays_the_agent_with_the_agents_own_tools(name: str) -> None:
    spec = documents("Agent")[name]
    tools = {tool: document.tool_document(tool, documents("Tool")[tool]) for tool in spec["tools"] if tool != ESCALATE}
    system = compile_system(document.agent_document(spec), list(tools.values()))
    asked = Conversation("any", system, tuple(spec["tools"]), [{"role": "user", "content": []}])

    (script,) = [each for each in scripts.load([seeding.SCRIPTS]) if fits(each, asked)]

    for turn in script.turns:
        for block in turn.content:
            if "tool_use" in block and block["tool_use"]["name"] != ESCALATE:
                call = block["tool_use"]
                schema = tools[call["name"]]["input_schema"]
                assert set(schema["required"]) <= set(call["input"]) <= set(schema["properties"])


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_case_fits_its_agents_input(case: Any) -> None:
    spec = documents("Agent")[case.agent]

    assert problems(validator(spec["input_schema"]), case.input) == []
    assert set(case.output) <= set(spec["output_schema"]["properties"])
    assert case.tenant in cast.TENANTS


def test_both_tenants_have_records() -> None:
    assert CUSTOMERS.keys() == cast.TENANTS.keys()

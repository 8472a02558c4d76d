"""The OpenAPI document: valid, complete, and true of what is answered."""

import json
from collections.abc import Callable
from functools import cache
from typing import Any
from uuid import UUID

import pytest
from django.test import Client
from drf_spectacular.validation import validate_schema
from jsonschema import Draft202012Validator

from agents.engine.driver import Driver
from agents.models import Run
from api import problems
from api.documentation import document
from tests.api.conftest import Answer, Caller, start
from tests.worlds import LOOKUP, PAY, World

Json = Any
Settles = Callable[[World, UUID], Run]


@cache
def schema() -> dict[str, Json]:
    """The document."""
    found: dict[str, Json] = json.loads(document())
    return found


def fits(answer: Answer, component: str) -> bool:
    """Whether the answer is as the component says, to the last field."""
    whole = {"$ref": f"#/components/schemas/{component}", "components": schema()["components"]}
    Draft202012Validator(whole).validate(answer.json)
    return True


def test_it_is_valid_openapi() -> None:
    validate_schema(schema())  # type: ignore[no-untyped-call]

    assert schema()["openapi"] == "3.1.1"
    for component in schema()["components"]["schemas"].values():
        Draft202012Validator.check_schema(component)


def test_every_call_names_its_key_its_success_and_its_refusals() -> None:
    for path, methods in schema()["paths"].items():
        for method, call in methods.items():
            assert call["security"] == [{"apiKey": []}], (path, method)
            assert call["summary"]
            assert call["description"]
            assert {"401", "403"} <= call["responses"].keys()
            assert ("{" in path) <= ("404" in call["responses"] or method == "put")
            assert any(status.startswith("2") for status in call["responses"])
            for status, response in call["responses"].items():
                if status >= "400":
                    ref = response["content"][problems.MEDIA_TYPE]["schema"]["$ref"]
                    assert ref == "#/components/schemas/Problem"
            assert all(parameter.get("description") for parameter in call.get("parameters", []))


def test_the_examples_fit() -> None:
    for component in schema()["components"]["schemas"].values():
        for example in component.get("examples", []):
            Draft202012Validator({**component, "components": schema()["components"]}).validate(example)
    for methods in schema()["paths"].values():
        for call in methods.values():
            body = call.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
            for example in body.get("examples", []):
                Draft202012Validator(body).validate(example)


def test_what_is_answered_is_as_described(acme: World, alice: Caller, driver: Driver, settles: Settles) -> None:
    acme.define("looker", role="You look keys up.", tool_specs={"lookup": LOOKUP})
    acme.define("payer", role="You pay.", tool_specs={"pay": PAY})
    started = alice.post("runs", {"agent": "looker", "input": {"a": "1", "b": "2"}})
    asked = start(alice, "payer", input={"to": acme.slug})
    settles(acme, UUID(started.json["id"]))
    settles(acme, asked)
    [escalation] = alice.get(f"runs/{asked}").json["escalations"]

    assert fits(started, "StartedRun")
    assert fits(alice.get("runs"), "RunPage")
    assert fits(alice.get(f"runs/{asked}"), "Run")
    assert fits(alice.get(f"runs/{asked}/events"), "RunEventPage")
    assert fits(alice.get("escalations"), "EscalationPage")
    assert fits(alice.get(f"escalations/{escalation}"), "EscalationWithEvidence")
    assert fits(alice.get("agents"), "AgentPage")
    assert fits(alice.get("agents/payer"), "Agent")
    assert fits(alice.get("agents/payer/versions"), "AgentVersionPage")
    assert fits(alice.get("agents/payer/versions/1"), "AgentVersion")
    assert fits(alice.get("agents/payer/preview"), "AgentPreview")
    assert fits(alice.get("tools"), "ToolPage")
    assert fits(alice.get("tools/pay"), "Tool")
    alice.post("tools/pay/grants", {"user": f"bob@{acme.slug}.example", "permission": "use"})
    assert fits(alice.get("tools/pay/grants"), "GrantPage")
    assert fits(alice.get("nope"), "Problem")
    assert fits(alice.post("runs", {}), "Problem")


@pytest.mark.parametrize("path", ["/api/schema", "/api/docs"])
def test_everybody_may_read_it(database: None, path: str) -> None:
    answer = Client().get(path)

    assert answer.status_code == 200
    policy = answer.headers["Content-Security-Policy"]
    assert "unsafe" not in policy


def test_the_page_holds_no_inline_script_or_style(database: None) -> None:
    page = Client().get("/api/docs").content.decode()

    assert "<style" not in page
    assert "style=" not in page
    assert page.count("<script") == page.count("<script src=") == 2

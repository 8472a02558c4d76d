"""Triage in a whole run: two models, one conversation, each at its own price."""

from collections.abc import Callable
from uuid import UUID

from agents.core import pricing
from agents.core.model import Usage
from agents.engine.driver import Driver
from agents.models import Run
from tests.worlds import LEDGER, LOOKUP, World

SCHEMA = {
    "type": "object",
    "properties": {"decision": {"enum": ["approve", "reject"]}, "confidence": {"type": "number"}},
    "required": ["decision", "confidence"],
}


def test_a_run_hands_over_and_pays_each_model_its_price(
    acme: World, driver: Driver, settles: Callable[[World, UUID], Run]
) -> None:
    acme.define(
        "triage",
        role="You triage.",
        tool_specs={"lookup": LOOKUP},
        output_schema=SCHEMA,
        triage={"model": "claude-haiku-5-5", "escalate_when": "output.confidence < 0.7"},
    )
    run = settles(acme, acme.submit("triage", {"key": acme.slug}).id)

    assert run.status == "completed"
    assert LEDGER.effects[f"lookup {acme.slug}"] == 1
    events = acme.events(run.id)
    requested = [each.facts["model"] for each in events if each.action == "model.requested"]
    assert requested == ["claude-haiku-5-5", "claude-haiku-5-5", "claude-opus-4-7"]
    [handed] = [each for each in events if each.action == "output.rejected"]
    assert (handed.facts["code"], handed.facts["handed_to"]) == ("triage", "claude-opus-4-7")
    answers = [each for each in events if each.action == "model.answered"]
    for each in answers:
        facts = each.facts
        usage = Usage(
            facts["input_tokens"],
            facts["output_tokens"],
            facts.get("cache_read_input_tokens", 0),
            facts.get("cache_creation_input_tokens", 0),
        )
        assert facts["cost_nano"] == pricing.cost(usage, facts["model"], each.at.date())
    assert run.cost_nano == sum(each.facts["cost_nano"] for each in answers)

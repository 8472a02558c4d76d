"""Both engines run the same script: their journals are equal, ordered by (turn, call)."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import pytest
from pytest_django import Settings

from agents.models import Run
from db.scope import tenant_scope
from escalations.actions.decisions import Answer, decide
from escalations.models import Escalation
from tests.agents.engine import serving as default
from tests.agents.engine.temporal.conftest import SCRIPT_FOLDERS
from tests.agents.engine.temporal.journals import comparable
from tests.agents.engine.temporal.serving import rehearsed, serving
from tests.agents.providers.servers import rehearsal
from tests.worlds import LOOKUP, PAY, VERDICT, World

Json = Any
Settles = Callable[[World, UUID], Run]

FAIL: Json = LOOKUP | {"description": "Fail.", "python": {"function": "test_fail"}}
CONFIDENT: Json = {"id": "confident", "assert": "output.confidence > 0.5", "message": "Too low.", "on_fail": "escalate"}

#: Role (which chooses the script), tools, and the rest of the agent.
SCRIPTS: dict[str, tuple[str, Json, Json]] = {
    "parallel calls": ("You look keys up.", {"lookup": LOOKUP}, {}),
    "an approval": ("You pay.", {"pay": PAY}, {}),
    "calls in turn": ("You look up twice.", {"lookup": LOOKUP}, {}),
    "an overloaded supplier": ("You are overloaded.", {}, {}),
    "a broken answer": ("You break off.", {"lookup": LOOKUP}, {}),
    "odd numbers": ("You use odd numbers.", {"lookup": LOOKUP}, {}),
    "a question": ("You ask first.", {}, {"escalation": ["Ask when in doubt."]}),
    "everything": (
        "You meet everything.",
        {"fail": FAIL, "lookup": LOOKUP, "pay": PAY},
        {"output_schema": VERDICT, "rules": [CONFIDENT]},
    ),
}


@pytest.fixture(scope="module")
def model_urls() -> Iterator[dict[str, str]]:
    """A rehearsal server for each engine: what one has cached would be cheaper for the other."""
    with rehearsal(*SCRIPT_FOLDERS) as first, rehearsal(*SCRIPT_FOLDERS) as second:
        yield {"django_q": first, "temporal": second}


@contextmanager
def engine(name: str, model_url: str, settings: Settings) -> Iterator[None]:
    """Have new runs start on an engine, with a worker of it."""
    settings.ENGINE = name
    if name == "django_q":
        with default.serving(model_url):
            yield
    else:
        with serving(rehearsed(model_url)):
            yield


def played(world: World, agent: str, settles: Settles) -> list[Json]:
    """Run the agent's script to its end, answering what it asks; returns its journal."""
    run = world.submit(agent, {"a": f"a {world.slug}", "b": f"b {world.slug}", "to": world.slug})
    while not (seen := settles(world, run.id)).ended_at:
        with tenant_scope(world.tenant_id):
            asked = Escalation.objects.filter(run_id=run.id, status="open").first()
        if asked is not None:
            says = {"decision": "respond", "message": "Go on."} if "approve" not in asked.allowed else {}
            decide(asked.id, Answer(**{"decision": "approve", "digest": asked.digest, **says}), acting_as=world.rita)
    assert seen.engine == (None if agent.endswith("django-q") else "temporal")
    return comparable(world, run.id)


@pytest.mark.parametrize("script", SCRIPTS)
def test_the_journals_are_equal(
    script: str, acme: World, on_temporal: None, model_urls: dict[str, str], settings: Settings, settles: Settles
) -> None:
    role, tools, more = SCRIPTS[script]
    journals = {}
    acme.define("first-django-q", role=role, tool_specs=tools, **more)
    acme.define("second", role=role, tool_specs={}, more_tools=list(tools), **more)
    for agent, name in {"first-django-q": "django_q", "second": "temporal"}.items():
        acme.grant("review", acme.agent(agent), acme.rita)
        with engine(name, model_urls[name], settings):
            journals[name] = played(acme, agent, settles)

    assert journals["temporal"] == journals["django_q"]
    assert journals["temporal"][-1][0] == "run.completed"

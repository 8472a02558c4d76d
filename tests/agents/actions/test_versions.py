"""Versions: what they pin, going live, going back, and what the model will be told."""

import pytest

from access.errors import AccessDenied, MissingGrant
from agents.actions import agents, tools, versions
from agents.core.spec import agent_spec
from agents.errors import InvalidDocument, NotAvailable, NothingToPublish, NothingToRollBackTo, UnknownAgent
from agents.errors import UnknownVersion as NoSuchVersion
from agents.models import Agent, AgentVersion, Tool
from audit.models import Record
from db.scope import tenant_scope
from tests.agents.actions.specs import FETCH, LOAN
from tests.worlds import World, world

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture
def here() -> World:
    made = world()
    tools.put("fetch", FETCH, acting_as=made.alice)
    return made


@pytest.fixture
def loan(here: World) -> Agent:
    return agents.put_draft("loan", LOAN, acting_as=here.alice)


def live(here: World) -> int | None:
    with tenant_scope(here.tenant_id):
        version = agents.by_slug("loan").live
        return version.number if version is not None else None


def published(here: World, agent: Agent, role: str) -> AgentVersion:
    agents.put_draft("loan", {**LOAN, "role": role}, acting_as=here.alice)
    made = versions.create(agent, acting_as=here.alice)
    return versions.publish(agent, made.version.number, acting_as=here.alice)


def test_a_version_is_what_runs_read(here: World, loan: Agent) -> None:
    made = versions.create(loan, acting_as=here.alice)

    spec = agent_spec(made.version.compiled)

    assert made.created
    assert (spec.slug, spec.version, spec.model, spec.max_tokens) == ("loan", 1, "claude-opus-4-7", 8192)
    assert spec.system.startswith("# Role\nLoan reviewer.\n")
    assert [tool["name"] for tool in spec.offered] == ["fetch", "escalate_to_human"]
    assert spec.escalates
    assert live(here) is None


def test_it_keeps_the_order_of_the_output_as_written(here: World, loan: Agent) -> None:
    versions.create(loan, acting_as=here.alice)

    with tenant_scope(here.tenant_id):
        stored = AgentVersion.objects.get().compiled
    assert list(stored["document"]["output_schema"]["properties"]) == ["reason", "decision"]


def test_it_pins_tools_and_their_fallbacks(here: World, loan: Agent) -> None:
    tools.put("deepest", FETCH, acting_as=here.alice)
    tools.put("backup", {**FETCH, "fallback": "deepest"}, acting_as=here.alice)
    tools.put("fetch", {**FETCH, "fallback": "backup"}, acting_as=here.alice)

    pinned = versions.create(loan, acting_as=here.alice).version
    tools.put("fetch", {**FETCH, "timeout_s": 1}, acting_as=here.alice)

    with tenant_scope(here.tenant_id):
        stored = AgentVersion.objects.get(id=pinned.id).compiled["tools"]
        ids = dict(Tool.objects.values_list("name", "id"))
    assert [(tool["name"], tool["version"], tool["offered"]) for tool in stored] == [
        ("fetch", 2, True),
        ("backup", 1, False),
        ("deepest", 1, False),
    ]
    assert stored[0]["id"] == str(ids["fetch"])
    assert stored[0]["document"]["name"] == "fetch"
    assert stored[0]["document"]["timeout_s"] == 30


def test_nothing_new_is_no_new_version(here: World, loan: Agent) -> None:
    first = versions.create(loan, acting_as=here.alice)
    again = versions.create(loan, acting_as=here.alice)

    assert (again.version, again.created) == (first.version, False)


def test_a_changed_tool_makes_a_new_version_of_the_same_document(here: World, loan: Agent) -> None:
    versions.create(loan, acting_as=here.alice)
    tools.put("fetch", {**FETCH, "timeout_s": 1}, acting_as=here.alice)

    made = versions.create(loan, acting_as=here.alice)

    assert (made.version.number, made.created) == (2, True)
    assert made.version.document == LOAN


def test_publishing_moves_live_and_is_recorded_once(here: World, loan: Agent) -> None:
    published(here, loan, "One.")
    versions.publish(loan, 1, acting_as=here.alice)

    assert live(here) == 1
    with tenant_scope(here.tenant_id):
        record = Record.objects.get(stream=loan.id, action="agent.published")
    assert (record.actor, record.facts["version"], record.facts["from"]) == (here.alice.actor, 1, None)


def test_rolling_back_goes_back_step_by_step(here: World, loan: Agent) -> None:
    for role in ("One.", "Two.", "Three."):
        published(here, loan, role)

    assert versions.rollback(loan, acting_as=here.alice).number == 2
    assert versions.rollback(loan, acting_as=here.alice).number == 1
    assert live(here) == 1
    with pytest.raises(NothingToRollBackTo):
        versions.rollback(loan, acting_as=here.alice)
    versions.publish(loan, 3, acting_as=here.alice)
    assert versions.rollback(loan, acting_as=here.alice).number == 1


def test_what_is_not_there_cannot_go_live(here: World, loan: Agent) -> None:
    with pytest.raises(NoSuchVersion):
        versions.publish(loan, 7, acting_as=here.alice)
    with pytest.raises(NothingToRollBackTo):
        versions.rollback(loan, acting_as=here.alice)
    with tenant_scope(here.tenant_id):
        empty = Agent.objects.create(slug="empty")
    with pytest.raises(NothingToPublish):
        versions.create(empty, acting_as=here.alice)


def test_a_part_of_the_runs_is_not_available_yet(here: World, loan: Agent) -> None:
    versions.create(loan, acting_as=here.alice)

    with pytest.raises(NotAvailable, match="not available in this version"):
        versions.publish(loan, 1, percent=10, acting_as=here.alice)
    assert versions.publish(loan, 1, percent=100, acting_as=here.alice).number == 1


def test_preview_shows_what_the_version_will_pin(here: World, loan: Agent) -> None:
    shown = versions.preview("loan", acting_as=here.bob)
    made = versions.create(loan, acting_as=here.alice).version

    assert shown.system == made.compiled["system"]
    assert list(shown.tools) == list(agent_spec(made.compiled).offered)
    assert shown.tokens["total"] == sum(shown.tokens[part] for part in ("system", "tools", "output_schema"))
    assert shown.tokens["system"] >= len(shown.system) // 4


def test_preview_of_what_is_not_saved(here: World) -> None:
    shown = versions.preview("not-there", {**LOAN, "role": "Somebody else."}, acting_as=here.bob)

    assert "Somebody else." in shown.system
    with pytest.raises(InvalidDocument):
        versions.preview("not-there", {**LOAN, "tools": ["nope"]}, acting_as=here.bob)
    with pytest.raises(UnknownAgent):
        versions.preview("not-there", acting_as=here.bob)


def test_bob_needs_the_grant_edit(here: World, loan: Agent) -> None:
    versions.create(loan, acting_as=here.alice)
    for refused in (
        lambda: versions.create(loan, acting_as=here.bob),
        lambda: versions.publish(loan, 1, acting_as=here.bob),
        lambda: versions.rollback(loan, acting_as=here.bob),
    ):
        with pytest.raises(MissingGrant):
            refused()

    here.grant("edit", loan, here.bob)

    assert versions.publish(loan, 1, acting_as=here.bob).number == 1


def test_carol_reaches_neither_it_nor_her_own_by_it(here: World, loan: Agent) -> None:
    carol = world()
    tools.put("fetch", FETCH, acting_as=carol.alice)
    versions.create(loan, acting_as=here.alice)
    with pytest.raises(UnknownAgent):
        versions.publish(loan, 1, acting_as=carol.alice)
    agents.put_draft("loan", LOAN, acting_as=carol.alice)

    with pytest.raises(UnknownAgent):
        versions.create(loan, acting_as=carol.alice)
    with pytest.raises(AccessDenied):
        versions.publish(loan, 1, acting_as=carol.bob)

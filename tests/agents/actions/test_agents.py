"""Drafts of agents: who may write them, and what becomes of them."""

import pytest

from access import grants
from access.errors import AccessDenied, MissingGrant, MissingScope
from agents.actions import agents, tools, versions
from agents.errors import ChangedMeanwhile, InvalidDocument, UnknownAgent
from agents.models import Agent
from audit.models import Record
from db.scope import tenant_scope
from tenants.models import User
from tenants.principal import Principal
from tests.agents.actions.specs import FETCH, LOAN
from tests.worlds import World, world

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture
def here() -> World:
    made = world()
    tools.put("fetch", FETCH, acting_as=made.alice)
    return made


def actions(here: World, agent: Agent) -> list[str]:
    with tenant_scope(here.tenant_id):
        return list(Record.objects.filter(stream=agent.id).order_by("id").values_list("action", flat=True))


def test_a_draft_is_kept_and_nothing_goes_live(here: World) -> None:
    agent = agents.put_draft("loan", LOAN, acting_as=here.alice)

    assert agent.draft == LOAN
    assert agent.live is None
    assert actions(here, agent) == ["agent.drafted"]


def test_the_same_draft_again_changes_nothing(here: World) -> None:
    agent = agents.put_draft("loan", LOAN, acting_as=here.alice)
    agents.put_draft("loan", LOAN, acting_as=here.alice)

    assert actions(here, agent) == ["agent.drafted"]


def test_going_back_to_the_newest_version_discards_the_draft(here: World) -> None:
    agent = agents.put_draft("loan", LOAN, acting_as=here.alice)
    versions.create(agent, acting_as=here.alice)
    agents.put_draft("loan", {**LOAN, "role": "Another."}, acting_as=here.alice)

    agent = agents.put_draft("loan", LOAN, acting_as=here.alice)

    assert agent.draft is None
    assert actions(here, agent) == ["agent.drafted", "agent.versioned", "agent.drafted", "agent.draft_discarded"]


def test_an_invalid_draft_says_where(here: World) -> None:
    with pytest.raises(InvalidDocument) as caught:
        agents.put_draft("loan", {**LOAN, "tools": ["fecth"]}, acting_as=here.alice)

    assert caught.value.errors == [{"pointer": "/tools/0", "detail": "There is no tool fecth. Did you mean fetch?"}]


@pytest.mark.parametrize("slug", ["", "Loan", "loan review", "-loan", "x" * 64, "loan\n"])
def test_a_slug_must_be_one(here: World, slug: str) -> None:
    with pytest.raises(InvalidDocument, match="not a slug"):
        agents.put_draft(slug, LOAN, acting_as=here.alice)


def test_a_write_after_another_draft_is_refused(here: World) -> None:
    before = agents.put_draft("loan", LOAN, acting_as=here.alice)
    expected = agents.digest_of(before)
    agents.put_draft("loan", {**LOAN, "role": "Two."}, acting_as=here.alice, expected=expected)

    with pytest.raises(ChangedMeanwhile):
        agents.put_draft("loan", {**LOAN, "role": "Three."}, acting_as=here.alice, expected=expected)
    with pytest.raises(ChangedMeanwhile):
        agents.put_draft("new", LOAN, acting_as=here.alice, expected=expected)


def test_bob_needs_the_grant_edit(here: World) -> None:
    agent = agents.put_draft("loan", LOAN, acting_as=here.alice)
    with pytest.raises(MissingGrant):
        agents.put_draft("loan", {**LOAN, "role": "Bob's."}, acting_as=here.bob)
    with pytest.raises(AccessDenied):
        agents.put_draft("bobs", LOAN, acting_as=here.bob)

    here.grant("edit", agent, here.bob)

    assert agents.put_draft("loan", {**LOAN, "role": "Bob's."}, acting_as=here.bob).draft["role"] == "Bob's."
    with pytest.raises(AccessDenied):
        agents.put_draft("bobs", LOAN, acting_as=here.bob)


def test_a_key_needs_the_scope_besides_the_grant(here: World) -> None:
    agent = agents.put_draft("loan", LOAN, acting_as=here.alice)
    here.grant("edit", agent, here.bob)
    key = Principal(here.tenant_id, here.bob.user_id, here.bob.role, scopes=frozenset({"agents:read"}))

    with pytest.raises(MissingScope):
        agents.put_draft("loan", {**LOAN, "role": "Bob's."}, acting_as=key)


def test_who_may_only_edit_cannot_grant(here: World) -> None:
    agent = agents.put_draft("loan", LOAN, acting_as=here.alice)
    here.grant("edit", agent, here.bob)
    me = {"user": f"bob@{here.slug}.example", "permission": "review"}

    with pytest.raises(AccessDenied):
        agents.put_draft("loan", {**LOAN, "role": "Bob's.", "grants": [me]}, acting_as=here.bob)

    with tenant_scope(here.tenant_id):
        assert agents.by_slug("loan").draft == LOAN
        assert [grant.permission for grant in grants.of(agent)] == ["edit"]


def test_grants_come_with_the_document(here: World) -> None:
    me = {"user": f"bob@{here.slug}.example", "permission": "run"}

    agent = agents.put_draft("loan", {**LOAN, "grants": [me]}, acting_as=here.alice)

    assert agent.draft == LOAN
    with tenant_scope(here.tenant_id):
        assert [(grant.permission, grant.holder) for grant in grants.of(agent)] == [
            ("run", User.objects.get(id=here.bob.user_id))
        ]


def test_carol_sees_nothing(here: World) -> None:
    agents.put_draft("loan", LOAN, acting_as=here.alice)
    carol = world()

    with tenant_scope(carol.tenant_id), pytest.raises(UnknownAgent):
        agents.by_slug("loan")

"""Tools: immutable versions, made only when the definition changed."""

import pytest

from access import grants
from access.errors import AccessDenied, MissingScope
from agents.actions import tools
from agents.errors import ChangedMeanwhile, InvalidDocument, UnknownTool
from agents.models import Tool, ToolVersion
from audit.models import Record
from db.scope import tenant_scope
from tenants.actions import teams
from tenants.principal import COMMAND, Principal
from tests.agents.actions.specs import FETCH
from tests.worlds import World, world

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture
def here() -> World:
    return world()


def records(here: World, tool: Tool) -> list[str]:
    with tenant_scope(here.tenant_id):
        return list(Record.objects.filter(stream=tool.id).order_by("id").values_list("action", flat=True))


def test_a_first_definition_is_version_1_and_live(here: World) -> None:
    saved = tools.put("fetch", FETCH, acting_as=here.alice)

    assert saved.changed
    assert saved.version.number == 1
    with tenant_scope(here.tenant_id):
        assert tools.by_name("fetch").live == saved.version
    assert records(here, saved.version.tool) == ["tool.added"]


def test_the_same_definition_again_changes_nothing(here: World) -> None:
    first = tools.put("fetch", FETCH, acting_as=here.alice)
    reordered = dict(reversed(FETCH.items()))

    again = tools.put("fetch", reordered, acting_as=here.alice)

    assert not again.changed
    assert again.version == first.version
    assert records(here, first.version.tool) == ["tool.added"]


def test_another_definition_is_a_new_version_and_the_old_one_stays(here: World) -> None:
    first = tools.put("fetch", FETCH, acting_as=here.alice)
    second = tools.put("fetch", {**FETCH, "timeout_s": 5}, acting_as=here.alice)

    assert (second.version.number, second.changed) == (2, True)
    with tenant_scope(here.tenant_id):
        assert [version.document for version in ToolVersion.objects.order_by("number")] == [
            FETCH,
            {**FETCH, "timeout_s": 5},
        ]
    assert records(here, first.version.tool) == ["tool.added", "tool.changed"]


def test_the_order_of_keys_is_kept_as_written(here: World) -> None:
    tools.put("fetch", FETCH, acting_as=here.alice)

    with tenant_scope(here.tenant_id):
        assert list(tools.by_name("fetch").live.document) == list(FETCH)  # type: ignore[union-attr]


def test_an_invalid_definition_says_where(here: World) -> None:
    with pytest.raises(InvalidDocument) as caught:
        tools.put("fetch", {**FETCH, "typ": "http", "timeout_s": -1}, acting_as=here.alice)

    assert {error["pointer"] for error in caught.value.errors} == {"/typ", "/timeout_s"}
    assert "/timeout_s" in str(caught.value) or "/typ" in str(caught.value)
    with tenant_scope(here.tenant_id), pytest.raises(UnknownTool):
        tools.by_name("fetch")


def test_a_fallback_must_be_there(here: World) -> None:
    with pytest.raises(InvalidDocument, match="There is no tool backup"):
        tools.put("fetch", {**FETCH, "fallback": "backup"}, acting_as=here.alice)

    tools.put("backup", FETCH, acting_as=here.alice)

    assert tools.put("fetch", {**FETCH, "fallback": "backup"}, acting_as=here.alice).changed


def test_a_write_after_another_version_is_refused(here: World) -> None:
    first = tools.put("fetch", FETCH, acting_as=here.alice)
    tools.put("fetch", {**FETCH, "timeout_s": 5}, acting_as=here.alice, expected=first.version.digest)

    with pytest.raises(ChangedMeanwhile):
        tools.put("fetch", {**FETCH, "timeout_s": 6}, acting_as=here.alice, expected=first.version.digest)


def test_grants_come_with_the_document_and_are_no_version(here: World) -> None:
    with tenant_scope(here.tenant_id):
        teams.put(tenant_id=here.tenant_id, slug="credit", emails=[f"bob@{here.slug}.example"], acting_as=COMMAND)
    granted = {**FETCH, "grants": [{"team": "credit", "permission": "use"}]}

    first = tools.put("fetch", FETCH, acting_as=here.alice)
    second = tools.put("fetch", granted, acting_as=here.alice)

    assert not second.changed
    with tenant_scope(here.tenant_id):
        assert grants.held(here.bob, "use", first.version.tool)
        assert "grants" not in second.version.document
    tools.put("fetch", FETCH, acting_as=here.alice)
    with tenant_scope(here.tenant_id):
        assert grants.held(here.bob, "use", first.version.tool)
    tools.put("fetch", {**FETCH, "grants": []}, acting_as=here.alice)
    with tenant_scope(here.tenant_id):
        assert not grants.held(here.bob, "use", first.version.tool)
    assert records(here, first.version.tool) == ["tool.added", "grant.added", "grant.removed"]


def test_a_grant_to_nobody_undoes_the_definition(here: World) -> None:
    with pytest.raises(InvalidDocument) as caught:
        tools.put("fetch", {**FETCH, "grants": [{"team": "nobody", "permission": "use"}]}, acting_as=here.alice)

    assert caught.value.errors[0]["pointer"] == "/grants/0/team"
    with tenant_scope(here.tenant_id):
        assert not Tool.objects.exists()


def test_bob_may_not_and_carol_makes_her_own(here: World) -> None:
    with pytest.raises(AccessDenied):
        tools.put("fetch", FETCH, acting_as=here.bob)
    carol = world().alice
    tools.put("fetch", FETCH, acting_as=carol)

    with tenant_scope(here.tenant_id), pytest.raises(UnknownTool):
        tools.by_name("fetch")


def test_a_key_needs_the_scope(here: World) -> None:
    alice = here.alice
    key = Principal(alice.tenant_id, alice.user_id, alice.role, scopes=frozenset({"tools:read"}))

    with pytest.raises(MissingScope):
        tools.put("fetch", FETCH, acting_as=key)

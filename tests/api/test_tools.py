"""Tools, grants and secrets over REST."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone

from agents.actions import sources
from agents.models import Tool, ToolBreaker
from db.scope import tenant_scope
from tests.api.conftest import Caller, caller
from tests.worlds import LOOKUP, World
from vault.actions import secrets


def test_a_tool_is_defined_read_and_replaced(alice: Caller) -> None:
    made = alice.put("tools/lookup", {"spec": LOOKUP}, If_None_Match="*")
    assert (made.status, made.json["version"], made.json["spec"]) == (201, 1, LOOKUP)

    read = alice.get("tools/lookup")
    assert read.headers["ETag"] == made.headers["ETag"]
    changed = alice.put(
        "tools/lookup", {"spec": {**LOOKUP, "description": "Find."}}, If_Match=str(read.headers["ETag"])
    )

    assert (changed.status, changed.json["version"]) == (200, 2)
    stale = alice.put("tools/lookup", {"spec": LOOKUP}, If_Match=str(read.headers["ETag"]))
    assert (stale.status, stale.code) == (412, "precondition_failed")
    assert alice.put("tools/lookup", {"spec": LOOKUP}).code == "precondition_required"
    assert [tool["name"] for tool in alice.get("tools").json["results"]] == ["lookup"]


def test_a_tool_tells_whether_it_is_called_and_its_tag_does_not(acme: World, alice: Caller) -> None:
    alice.put("tools/lookup", {"spec": LOOKUP}, If_None_Match="*")
    well = alice.get("tools/lookup")
    assert well.json["breaker"] == {"state": "closed", "failures": 0, "opened_at": None, "retry_at": None}

    now = timezone.now()
    states = {}
    for state, retry_at in (("closed", None), ("half_open", now), ("open", now + timedelta(hours=1))):
        with tenant_scope(acme.tenant_id):
            values = {"failures": 5, "failed_at": now, "opened_at": retry_at and now, "retry_at": retry_at}
            ToolBreaker.objects.update_or_create(tool=Tool.objects.get(), defaults=values)
        shown = alice.get("tools/lookup")
        states[state] = shown.json["breaker"]
        assert shown.headers["ETag"] == well.headers["ETag"]

    assert [told["state"] for told in states.values()] == list(states)
    assert states["open"] == {
        "state": "open",
        "failures": 5,
        "opened_at": now.isoformat(),
        "retry_at": (now + timedelta(hours=1)).isoformat(),
    }
    assert "breaker" not in alice.get("tools").json["results"][0]


def test_a_wrong_definition_is_refused_with_its_places(alice: Caller) -> None:
    answer = alice.put("tools/lookup", {"spec": {**LOOKUP, "effect": "none"}}, If_None_Match="*")

    assert (answer.status, answer.code) == (422, "invalid_document")
    assert answer.pointers == ["/spec/effect"]
    assert alice.put("tools/no%20name", {"spec": LOOKUP}, If_None_Match="*").code == "invalid_document"
    assert alice.put("tools/escalate_to_human", {"spec": LOOKUP}, If_None_Match="*").code == "invalid_document"


def test_a_grant_is_given_listed_and_taken_back(acme: World, alice: Caller) -> None:
    alice.put("tools/lookup", {"spec": LOOKUP}, If_None_Match="*")
    bob = f"bob@{acme.slug}.example"

    given = alice.post("tools/lookup/grants", {"user": bob, "permission": "use"})
    assert (given.status, given.json["user"], given.json["permission"]) == (201, bob, "use")
    assert alice.post("tools/lookup/grants", {"user": bob, "permission": "use"}).json == given.json
    assert alice.get("tools/lookup/grants").json == {"results": [given.json], "next": None}

    address = f"tools/lookup/grants/{given.json['id']}"
    assert alice("DELETE", address).status == 204
    assert alice("DELETE", address).code == "not_found"
    assert alice("DELETE", f"tools/lookup/grants/{uuid4()}").code == "not_found"
    assert alice.get("tools/lookup/grants").json["results"] == []


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({"permission": "use"}, [""]),
        ({"user": "a@b.example", "team": "c", "permission": "use"}, [""]),
        ({"user": "nobody@example.com", "permission": "use"}, ["/user"]),
        ({"team": "nobody", "permission": "use"}, ["/team"]),
        ({"team": "nobody", "permission": "run"}, ["/permission"]),
        ({"team": 7, "permission": "use"}, ["/team"]),
    ],
)
def test_a_wrong_grant_is_refused_with_its_place(alice: Caller, body: dict[str, object], pointers: list[str]) -> None:
    alice.put("tools/lookup", {"spec": LOOKUP}, If_None_Match="*")

    answer = alice.post("tools/lookup/grants", body)

    assert (answer.status, answer.code, answer.pointers) == (422, "invalid_body", pointers)


def test_a_secret_is_written_and_never_read(acme: World, alice: Caller) -> None:
    answer = alice.put("secrets/crm_token", {"value": "Bearer hunter2"})

    assert (answer.status, answer.content) == (204, b"")
    assert alice.get("secrets/crm_token").status == 405
    with tenant_scope(acme.tenant_id):
        assert secrets.reveal("crm_token") == "Bearer hunter2"


def test_secrets_are_listed_by_name_and_nothing_else(alice: Caller, carol: Caller) -> None:
    for name in ("one", "two"):
        alice.put(f"secrets/{name}", {"value": "Bearer hunter2"})

    page = alice.get("secrets?limit=1").json
    rest = alice.get(f"secrets?limit=1&cursor={page['next']}").json

    assert [each["name"] for each in page["results"] + rest["results"]] == ["two", "one"]
    assert page["results"][0].keys() == {"name", "updated_at"}
    assert carol.get(f"secrets?cursor={page['next']}").code == "bad_cursor"


def test_a_secret_is_deleted_once_nothing_names_it(acme: World, alice: Caller, bob: Caller) -> None:
    http = {"method": "GET", "url": "https://crm.example/", "headers": {"Authorization": "Bearer secret:crm_token"}}
    alice.put("secrets/crm_token", {"value": "Bearer hunter2"})
    tool = {"description": "Fetch.", "type": "http", "effect": "read", "http": http}
    assert alice.put("tools/crm", {"spec": tool}, If_None_Match="*").status == 201
    with tenant_scope(acme.tenant_id):
        sources.put("sales", {"engine": "postgresql", "url": "secret:crm_token"}, acting_as=acme.alice)

    refused = alice("DELETE", "secrets/crm_token")

    assert (refused.status, refused.code) == (409, "secret_in_use")
    assert "the tool crm, the data source sales" in refused.json["detail"]
    assert bob("DELETE", "secrets/crm_token").code == "forbidden"
    alice.put("tools/crm", {"spec": {**tool, "http": {**http, "headers": {}}}}, If_Match="*")
    with tenant_scope(acme.tenant_id):
        sources.put("sales", {"engine": "sqlite", "url": "sales.db"}, acting_as=acme.alice)
    assert alice("DELETE", "secrets/crm_token").status == 204
    assert alice("DELETE", "secrets/crm_token").code == "not_found"
    assert alice.get("secrets").json["results"] == []


def test_a_secret_that_cannot_be_kept_is_not_told_again(acme: World, alice: Caller) -> None:
    assert alice.put("secrets/crm_token", {"value": "  "}).code == "empty_secret"
    assert alice.put("secrets/7up", {"value": "long enough"}).code == "bad_secret_name"
    for value in (["hunter2hunter2"], {"hunter2": 1}, 77777):
        refused = alice.put("secrets/crm_token", {"value": value})
        assert refused.pointers == ["/value"]
        assert b"hunter2" not in refused.content
        assert b"77777" not in refused.content
    narrow = caller(acme, acme.alice, "tools:read")
    assert narrow.put("secrets/crm_token", {"value": "long enough"}).code == "missing_scope"

"""Conditions on grants over REST, and what the grants on agents let one do there."""

import re
from collections.abc import Callable
from uuid import UUID, uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from agents.engine.driver import Driver
from agents.models import Run
from agents.models.grants import ToolUserGrant
from db.scope import tenant_scope
from tenants.actions import members, teams, tenants
from tenants.models import Membership, Role, User
from tenants.principal import COMMAND
from tests.api.conftest import Caller, caller, member, start
from tests.worlds import LOOKUP, PAY, World

Settles = Callable[[World, UUID], Run]

SPEC = {"role": "You file.", "model": {"id": "claude-opus-4-7"}, "tools": []}


@pytest.fixture
def bobs(acme: World, alice: Caller) -> dict[str, str]:
    """A grant to Bob, for a tool that there is."""
    alice.put("tools/lookup", {"spec": LOOKUP}, If_None_Match="*")
    return {"user": f"bob@{acme.slug}.example", "permission": "use"}


def test_a_grant_of_a_tool_can_have_a_condition(alice: Caller, bobs: dict[str, str]) -> None:
    given = alice.post("tools/lookup/grants", {**bobs, "condition": "args.key == 'a'"})
    assert (given.status, given.json["condition"]) == (201, "args.key == 'a'")
    assert alice.post("tools/lookup/grants", {**bobs, "condition": "args.key == 'a'"}).json == given.json

    changed = alice.post("tools/lookup/grants", {**bobs, "condition": "args.key == 'b'"})
    assert changed.json == {**given.json, "condition": "args.key == 'b'", "id": changed.json["id"]}
    assert changed.json["id"] != given.json["id"]
    assert alice.get("tools/lookup/grants").json["results"] == [changed.json]
    assert alice("DELETE", f"tools/lookup/grants/{given.json['id']}").code == "not_found"

    always = alice.post("tools/lookup/grants", {**bobs, "condition": None})
    assert (always.status, always.json["condition"]) == (201, None)
    assert alice.post("tools/lookup/grants", bobs).json == always.json


@pytest.mark.parametrize(
    ("condition", "says"),
    [
        ("args.kye == 'a'", "There is no args.kye. Did you mean key?"),
        ("args.key == 1", "At column 10: == does not take (string, int): give it values that go together."),
        ("args.key", "yields STRING, not true or false"),
        ("principal.roles == 'owner'", "There is no principal.roles. Did you mean role?"),
        ("tenant.slug == 'a'", "At column 7: tenant is not known here. Known: args, principal."),
        ("(", "This is no expression of CEL (mismatched input 'end'); write one such as args.amount < 1000."),
    ],
)
def test_a_condition_that_cannot_work_is_refused(
    alice: Caller, bobs: dict[str, str], condition: str, says: str
) -> None:
    answer = alice.post("tools/lookup/grants", {**bobs, "condition": condition})

    assert (answer.status, answer.code, answer.pointers) == (422, "invalid_body", ["/condition"])
    assert says in answer.json["errors"][0]["detail"]
    assert alice.get("tools/lookup/grants").json["results"] == []


@pytest.mark.parametrize(
    ("change", "pointer", "says"),
    [
        ({"team": "credit"}, "", "Give one of user, team, not more."),
        ({"user": None}, "/user", "Write a text."),
        ({"user": "b" * 255}, "/user", "This is too long: at most 254 characters."),
        ({"permission": "user"}, "/permission", "Write one of use. Did you mean use?"),
        ({"condition": ""}, "/condition", "This must not be empty."),
        ({"condition": 7}, "/condition", "Write a text or null."),
    ],
)
def test_what_is_no_grant_is_refused_in_a_sentence(
    alice: Caller, bobs: dict[str, str], change: dict[str, object], pointer: str, says: str
) -> None:
    answer = alice.post("tools/lookup/grants", {**bobs, **change})

    assert (answer.status, answer.json["errors"]) == (422, [{"pointer": pointer, "detail": says}])


@pytest.mark.parametrize("condition", ["", "x" * 4001, 7, ["true"]])
def test_a_condition_is_a_text_of_some_length(alice: Caller, bobs: dict[str, str], condition: object) -> None:
    assert alice.post("tools/lookup/grants", {**bobs, "condition": condition}).pointers == ["/condition"]


def test_grants_on_agents_have_none(alice: Caller, acme: World, echo: str) -> None:
    body = {"user": f"bob@{acme.slug}.example", "permission": "run", "condition": "true"}
    assert alice.post(f"agents/{echo}/grants", body).pointers == ["/condition"]
    del body["condition"]
    assert "condition" not in alice.post(f"agents/{echo}/grants", body).json


# --- reading them -------------------------------------------------------------------------------------------------


def test_grants_are_listed_by_pages_newest_first(acme: World, alice: Caller, echo: str) -> None:
    tool = {"spec": LOOKUP}
    assert alice.put("tools/lookup", tool, If_None_Match="*").status == 201
    assert alice.put("tools/other", tool, If_None_Match="*").status == 201
    tenant = tenants.by_id(acme.tenant_id)
    given = []
    for each in range(3):
        name = f"p{each}"
        person = f"{name}@{acme.slug}.example"
        members.put(tenant=tenant, email=person, role=Role.VIEWER, acting_as=COMMAND)
        teams.put(tenant_id=acme.tenant_id, slug=name, emails=[person], acting_as=COMMAND)
        for holder in ({"user": person}, {"team": name}):
            given.append(alice.post("tools/lookup/grants", {**holder, "permission": "use"}).json)
    alice.post("tools/other/grants", {"team": "p0", "permission": "use"})

    whole = alice.get("tools/lookup/grants").json
    assert whole == {"results": given[::-1], "next": None}
    seen, cursor = [], ""
    while cursor is not None:
        page = alice.get(f"tools/lookup/grants?limit=2{cursor and '&cursor='}{cursor}").json
        assert len(page["results"]) == 2
        seen += page["results"]
        cursor = page["next"]
    assert seen == given[::-1]
    first = alice.get("tools/lookup/grants?limit=2").json["next"]
    assert alice.get(f"tools/other/grants?cursor={first}").status == 400
    assert alice.get("tools/lookup/grants?limit=201").code == "invalid_query"


def test_a_page_of_grants_reads_no_more_than_itself(acme: World, alice: Caller, bobs: dict[str, str]) -> None:
    tool = "tools/lookup/grants"
    given = alice.post(tool, bobs).json["id"]
    with tenant_scope(acme.tenant_id):
        grant = ToolUserGrant.objects.get(id=given)
        permission, on = grant.permission_id, grant.content_object_id
        people = [User(email=f"{uuid4().hex}@{acme.slug}.example") for _ in range(300)]
        User.objects.bulk_create(people)
        Membership.objects.bulk_create([Membership(user=each, role=Role.VIEWER) for each in people])
        ToolUserGrant.objects.bulk_create(
            [ToolUserGrant(user=each, permission_id=permission, content_object_id=on) for each in people]
        )

    with CaptureQueriesContext(connection) as asked:
        page = alice.get(tool).json
        removed = alice("DELETE", f"{tool}/{given}").status

    assert (len(page["results"]), removed) == (50, 204)
    of_grants = [
        sql for sql in (each["sql"] for each in asked) if re.match(r'SELECT .* FROM "agents_tool\w+grant"', sql)
    ]
    assert of_grants
    assert all("LIMIT" in sql for sql in of_grants)


def test_whoever_may_not_see_people_sees_none_in_grants(
    acme: World, alice: Caller, bob: Caller, rita: Caller, bobs: dict[str, str], echo: str
) -> None:
    alice.post("tools/lookup/grants", {**bobs, "condition": "principal.email == 'bob@example.com'"})
    alice.post(f"agents/{echo}/grants", {**bobs, "permission": "run"})
    dan = member(acme, Role.DEVELOPER, "dan")
    for path in ("tools/lookup/grants", f"agents/{echo}/grants"):
        for who in (bob, rita, caller(acme, dan, "tools:read", "agents:read")):
            refused = who.get(path)
            assert refused.status == 403
            assert b"bob@" not in refused.content
        reads = ("tools:read", "agents:read")
        for who in (caller(acme, dan, *reads, "people:read"), caller(acme, acme.alice, *reads, "grants:write")):
            assert who.get(path).json["results"][0]["user"] == bobs["user"]


# --- run, edit, review --------------------------------------------------------------------------------------------


def test_run_lets_a_developer_start_and_end_runs_of_that_agent(acme: World, alice: Caller, echo: str) -> None:
    acme.define("other", role="You do other things.")
    dan = caller(acme, member(acme, Role.DEVELOPER, "dan"))
    run = start(alice)
    body = {"agent": echo, "input": {"key": "a"}}

    assert dan.post("runs", body).code == "missing_grant"
    assert dan.post(f"runs/{run}/cancel").code == "missing_grant"
    given = alice.post(f"agents/{echo}/grants", {"user": f"dan@{acme.slug}.example", "permission": "run"}).json
    assert dan.post("runs", body).status == 202
    assert dan.post(f"runs/{run}/cancel").status == 202
    assert dan.post("runs", {**body, "agent": "other"}).code == "missing_grant"
    assert alice("DELETE", f"agents/{echo}/grants/{given['id']}").status == 204
    assert dan.post("runs", body).code == "missing_grant"


def test_edit_lets_others_than_operators_draft_publish_and_roll_back(acme: World, alice: Caller, echo: str) -> None:
    dan = caller(acme, member(acme, Role.DEVELOPER, "dan"))
    person = f"dan@{acme.slug}.example"
    tag = str(alice.get(f"agents/{echo}").headers["ETag"])

    def tried() -> list[int]:
        return [
            dan.put(f"agents/{echo}", {"spec": SPEC}, If_Match=tag).status,
            dan.post(f"agents/{echo}/versions").status,
            dan.post(f"agents/{echo}/versions/2/publish").status,
            dan.post(f"agents/{echo}/rollback").status,
        ]

    assert tried() == [403, 403, 404, 403]
    alice.post(f"agents/{echo}/grants", {"user": person, "permission": "run"})
    assert tried() == [403, 403, 404, 403]
    alice.post(f"agents/{echo}/grants", {"user": person, "permission": "edit"})
    assert tried() == [200, 201, 200, 200]
    assert dan.put("agents/new", {"spec": SPEC}, If_None_Match="*").code == "forbidden"
    tag = str(dan.get(f"agents/{echo}").headers["ETag"])
    widened = {**SPEC, "grants": [{"user": person, "permission": "review"}]}
    assert dan.put(f"agents/{echo}", {"spec": widened}, If_Match=tag).code == "forbidden"


def test_review_lets_a_reviewer_see_and_decide_what_that_agent_asks(
    acme: World, alice: Caller, rita: Caller, driver: Driver, settles: Settles
) -> None:
    acme.define("payer", role="You pay.", tool_specs={"pay": PAY})
    run = start(alice, "payer", input={"to": acme.slug})
    assert settles(acme, run).waiting_for == "decision"
    [escalation] = alice.get(f"runs/{run}").json["escalations"]
    digest = alice.get(f"escalations/{escalation}").json["proposal"]["digest"]
    verdict = {"decision": "reject", "digest": digest, "reason": "no"}

    def seen() -> tuple[int, list[str], int]:
        listed = [each["id"] for each in rita.get("escalations").json["results"]]
        return rita.get(f"escalations/{escalation}").status, listed, decided()

    def decided() -> int:
        return rita.post(f"escalations/{escalation}/decide", {**verdict, "digest": "0" * 64}).status

    assert seen() == (404, [], 404)
    for permission in ("run", "edit"):
        alice.post("agents/payer/grants", {"user": f"rita@{acme.slug}.example", "permission": permission})
    assert seen() == (404, [], 404)
    given = alice.post("agents/payer/grants", {"user": f"rita@{acme.slug}.example", "permission": "review"}).json
    assert seen() == (200, [escalation], 412)
    alice("DELETE", f"agents/payer/grants/{given['id']}")
    assert seen() == (404, [], 404)
    alice.post("agents/payer/grants", {"user": f"rita@{acme.slug}.example", "permission": "review"})
    assert rita.post(f"escalations/{escalation}/decide", verdict).status == 200


# --- on behalf of ---------------------------------------------------------------------------------------------------


def test_acting_for_somebody_takes_scope_and_role_and_an_active_member(
    acme: World, alice: Caller, carol: Caller, echo: str
) -> None:
    dan = member(acme, Role.DEVELOPER, "dan")
    acme.grant("run", acme.agent(echo), dan)
    body = {"agent": echo, "input": {"key": "a"}, "on_behalf_of": f"bob@{acme.slug}.example"}

    assert caller(acme, dan).post("runs", body).code == "forbidden"
    assert caller(acme, acme.alice, "runs:write").post("runs", body).code == "missing_scope"
    made = caller(acme, acme.alice, "runs:write", "runs:on_behalf_of").post("runs", body)
    assert made.status == 202
    run = acme.run(UUID(made.json["id"]))
    assert (run.principal_id, run.requested_by_id) == (acme.bob.user_id, acme.alice.user_id)
    told = acme.events(run.id)[0].facts
    assert (told["principal"], told["requested_by"]) == (acme.bob.actor, acme.alice.actor)

    with tenant_scope(acme.tenant_id):
        members.deactivate(Membership.objects.get(user_id=acme.bob.user_id), acting_as=COMMAND)
    assert alice.post("runs", body).code == "unknown_member"
    assert carol.principal is not None
    theirs = {**body, "on_behalf_of": "alice@elsewhere.example"}
    assert alice.post("runs", theirs).code == "unknown_member"


def test_neither_who_asked_nor_whom_it_is_for_decides(
    acme: World, alice: Caller, driver: Driver, settles: Settles
) -> None:
    acme.define("payer", role="You pay.", tool_specs={"pay": PAY})
    fay, gus = (member(acme, Role.OPERATOR, name) for name in ("fay", "gus"))
    run = start(alice, "payer", input={"to": acme.slug}, on_behalf_of=f"fay@{acme.slug}.example")
    assert settles(acme, run).waiting_for == "decision"
    [escalation] = alice.get(f"runs/{run}").json["escalations"]
    digest = alice.get(f"escalations/{escalation}").json["proposal"]["digest"]
    verdict = {"decision": "reject", "digest": digest, "reason": "no"}

    for who in (alice, caller(acme, fay)):
        assert who.post(f"escalations/{escalation}/decide", verdict).code == "own_request"
    assert caller(acme, gus).post(f"escalations/{escalation}/decide", verdict).status == 200


def test_a_runs_children_are_named(acme: World, alice: Caller, echo: str) -> None:
    from agents.actions.runs import Request, submit

    parent = start(alice)
    child = submit(Request(echo, {"key": "a"}), acting_as=acme.alice, parent=parent).run

    assert alice.get(f"runs/{parent}").json["children"] == [str(child.id)]
    assert alice.get(f"runs/{child.id}").json["children"] == []
    assert {each["id"]: each["children"] for each in alice.get("runs").json["results"]} == {
        str(parent): [str(child.id)],
        str(child.id): [],
    }

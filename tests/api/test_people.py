"""Members, service accounts, teams and staff's access over REST."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
from django.db import connection

from access import grants
from agents.actions import tools
from audit.models import Record
from db.scope import tenant_scope
from escalations.actions import queues
from tenants.actions import staff, tenants
from tenants.models import Membership, Role, User
from tenants.principal import COMMAND
from tenants.scopes import SCOPES
from tests.api.conftest import Answer, Caller, caller
from tests.api.test_schema import fits
from tests.worlds import LOOKUP, World, add_factor


@pytest.fixture
def olga(acme: World) -> Caller:
    """The tenant's only owner."""
    return caller(acme, acme.member("olga", Role.OWNER), *SCOPES)


def email(acme: World, name: str) -> str:
    return f"{name}@{acme.slug}.example"


def change(who: Caller, path: str, role: str, active: bool = True) -> Answer:
    tag = who.get(path).headers["ETag"]
    return who.put(path, {"role": role, "active": active}, If_Match=str(tag))


# --- who may see who is there -------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("path", ["members", "teams", "service-accounts"])
def test_those_who_name_people_see_who_is_there(acme: World, role: Role, path: str) -> None:
    who = caller(acme, acme.member("somebody", role), *SCOPES)
    may = role not in {Role.VIEWER, Role.REVIEWER}

    answer = who.get(path)

    assert answer.status == (200 if may else 403)
    if not may:
        assert answer.code == "forbidden"


def test_a_key_without_the_scope_sees_nobody(acme: World, olga: Caller) -> None:
    for scopes, expected in ((("runs:read",), 403), (("people:read",), 200), (("admin",), 200)):
        assert olga.principal is not None
        assert caller(acme, olga.principal, *scopes).get("members").status == expected


# --- members ------------------------------------------------------------------------------------------------------


def test_members_are_listed_in_pages_and_by_role(acme: World, olga: Caller, carol: Caller) -> None:
    first = olga.get("members?limit=3")
    assert fits(first, "MemberPage")
    second = olga.get(f"members?limit=3&cursor={first.json['next']}")
    seen = [each["email"].split("@")[0] for page in (first, second) for each in page.json["results"]]

    assert seen == ["olga", "rita", "bob", "alice"]
    assert second.json["next"] is None
    assert [each["email"] for each in olga.get("members?role=viewer").json["results"]] == [email(acme, "bob")]
    assert olga.get("members?role=king").code == "invalid_query"
    assert olga.get("members?active=yes").code == "invalid_query"
    assert carol.get(f"members?cursor={first.json['next']}").code == "bad_cursor"


def test_services_are_no_members_and_members_no_services(acme: World, olga: Caller) -> None:
    made = olga.post("service-accounts", {"name": "portal", "role": "developer"})

    assert fits(made, "ServiceAccount")
    assert made.json["id"] not in {each["id"] for each in olga.get("members").json["results"]}
    assert [each["id"] for each in olga.get("service-accounts").json["results"]] == [made.json["id"]]
    assert olga.get(f"members/{made.json['id']}").code == "not_found"
    assert olga.get(f"service-accounts/{acme.bob.user_id}").code == "not_found"


def test_an_owner_changes_a_members_role(acme: World, olga: Caller) -> None:
    path = f"members/{acme.bob.user_id}"
    answer = change(olga, path, "operator")

    assert fits(answer, "Member")
    assert (answer.status, answer.json["role"], answer.json["active"]) == (200, "operator", True)
    assert olga.get(path).headers["ETag"] == answer.headers["ETag"]
    assert (
        caller(acme, acme.bob, "grants:write", "tools:write").put("secrets/a", {"value": "long enough"}).status == 204
    )


def test_a_stale_or_missing_condition_changes_nobody(acme: World, olga: Caller) -> None:
    path = f"members/{acme.bob.user_id}"
    tag = str(olga.get(path).headers["ETag"])
    change(olga, path, "reviewer")
    body = {"role": "owner", "active": True}

    assert olga.put(path, body, If_Match=tag).code == "precondition_failed"
    assert olga.put(path, body).code == "precondition_required"
    assert olga.get(path).json["role"] == "reviewer"


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"role": "viewer"}, "/active"),
        ({"active": True}, "/role"),
        ({"role": "king", "active": True}, "/role"),
        ({"role": "viewer", "active": 1}, "/active"),
        ({"role": "viewer", "active": True, "password": "x"}, "/password"),
    ],
)
def test_a_wrong_change_is_refused_with_its_place(
    acme: World, olga: Caller, body: dict[str, object], pointer: str
) -> None:
    answer = olga.put(f"members/{acme.bob.user_id}", body, If_Match="*")

    assert (answer.status, answer.pointers) == (422, [pointer])


def test_a_deactivated_member_is_out_at_the_next_request(acme: World, olga: Caller, bob: Caller) -> None:
    path = f"members/{acme.bob.user_id}"
    assert bob.get("runs").status == 200
    answer = change(olga, path, "viewer", active=False)

    assert (answer.status, answer.json["active"]) == (200, False)
    assert bob.get("runs").code == "bad_key"
    assert [each["email"] for each in olga.get("members?active=false").json["results"]] == [email(acme, "bob")]
    assert change(olga, path, "viewer", active=True).json["active"] is True
    assert bob.get("runs").code == "bad_key", "the key was revoked"


def test_a_removed_member_is_out_and_unknown(acme: World, olga: Caller, bob: Caller) -> None:
    path = f"members/{acme.bob.user_id}"

    assert olga("DELETE", path).status == 204
    assert olga("DELETE", path).code == "not_found"
    assert olga.get(path).code == "not_found"
    assert bob.get("runs").code == "bad_key"


def test_the_last_owner_stays(acme: World, olga: Caller) -> None:
    assert olga.principal is not None
    path = f"members/{olga.principal.user_id}"

    for answer in (change(olga, path, "viewer"), change(olga, path, "owner", active=False), olga("DELETE", path)):
        assert (answer.status, answer.code) == (409, "last_owner")
    assert (olga.get(path).json["role"], olga.get(path).json["active"]) == ("owner", True)


def test_two_owners_who_remove_each_other_at_once_leave_one(acme: World, olga: Caller) -> None:
    oskar = caller(acme, acme.member("oskar", Role.OWNER), *SCOPES)
    pairs = [(olga, oskar), (oskar, olga)]

    def remove(pair: tuple[Caller, Caller]) -> int:
        who, whom = pair
        assert whom.principal is not None
        try:
            return who("DELETE", f"members/{whom.principal.user_id}").status
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        statuses = list(pool.map(remove, pairs))

    assert statuses.count(204) == 1
    assert set(statuses) <= {204, 401, 403, 404, 409}
    with tenant_scope(acme.tenant_id):
        assert Membership.objects.filter(role=Role.OWNER).count() == 1


@pytest.mark.parametrize("role", [role for role in Role if role != Role.OWNER])
def test_nobody_else_raises_anybody(acme: World, olga: Caller, role: Role) -> None:
    me = acme.member("somebody", role)
    who = caller(acme, me, *SCOPES)
    everyone = {"role": "owner", "active": True}

    for person in (me, acme.bob):
        answer = who.put(f"members/{person.user_id}", everyone, If_Match="*")
        assert (answer.status, answer.code) == (403, "forbidden")
    assert who.post("invitations", {"email": "x@y.example", "role": "viewer"}).status == 403
    assert who.post("service-accounts", {"name": "x", "role": "viewer"}).status == 403
    assert who.put("teams/new", {"members": []}, If_None_Match="*").status == 403
    with tenant_scope(acme.tenant_id):
        assert Membership.objects.get(user_id=me.user_id).role == role


def test_an_owner_with_a_narrow_key_changes_nobody(acme: World, olga: Caller) -> None:
    assert olga.principal is not None
    narrow = caller(acme, olga.principal, "people:read", "keys:write")

    answer = narrow.put(f"members/{acme.bob.user_id}", {"role": "owner", "active": True}, If_Match="*")

    assert (answer.status, answer.code) == (403, "missing_scope")


# --- service accounts ---------------------------------------------------------------------------------------------


def test_a_service_account_is_deactivated_with_its_keys(acme: World, olga: Caller) -> None:
    service = olga.post("service-accounts", {"name": "portal", "role": "developer"}).json
    made = olga.post("keys", {"name": "k", "scopes": ["runs:read"], "service_account": service["id"]}).json
    portal = Caller(None, made["key"])
    assert portal.get("runs").status == 200

    assert change(olga, f"service-accounts/{service['id']}", "developer", active=False).json["active"] is False
    assert portal.get("runs").code == "bad_key"
    refused = olga.post("keys", {"name": "k", "scopes": ["runs:read"], "service_account": service["id"]})
    assert (refused.status, refused.pointers) == (422, ["/service_account"])


def test_a_service_account_never_signs_in(acme: World, olga: Caller) -> None:
    service = olga.post("service-accounts", {"name": "portal", "role": "owner"}).json

    user = User.objects.get(id=service["id"])
    assert (user.is_service, user.has_usable_password()) == (True, False)
    assert service["email"].endswith("@accounts.service")


@pytest.mark.parametrize("name", ["", "x" * 201])
def test_a_service_account_has_a_name(olga: Caller, name: str) -> None:
    assert olga.post("service-accounts", {"name": name, "role": "viewer"}).pointers == ["/name"]
    assert olga.post("service-accounts", {"name": "a\nb", "role": "viewer"}).code == "bad_name"


# --- teams --------------------------------------------------------------------------------------------------------


def test_a_team_is_made_changed_renamed_and_deleted(acme: World, olga: Caller) -> None:
    bob, rita = email(acme, "bob"), email(acme, "rita")
    made = olga.put("teams/credit", {"name": "Credit", "members": [rita, bob.upper()]}, If_None_Match="*")
    assert fits(made, "Team")
    assert (made.status, made.json) == (201, {"slug": "credit", "name": "Credit", "members": [bob, rita]})
    assert fits(olga.get("teams"), "TeamPage")
    assert olga.get("teams").json["results"] == [{"slug": "credit", "name": "Credit", "size": 2}]
    assert olga.get(f"members/{acme.bob.user_id}").json["teams"] == ["credit"]

    tag = str(made.headers["ETag"])
    changed = olga.put("teams/credit", {"slug": "loans", "members": [rita]}, If_Match=tag)
    assert (changed.status, changed.json) == (200, {"slug": "loans", "name": "", "members": [rita]})
    assert olga.get("teams/credit").code == "not_found"
    assert olga("DELETE", "teams/loans").status == 204
    assert olga("DELETE", "teams/loans").code == "not_found"


def test_a_team_is_neither_made_nor_replaced_blindly(olga: Caller) -> None:
    body: dict[str, list[str]] = {"members": []}
    assert olga.put("teams/credit", body).code == "precondition_required"
    assert olga.put("teams/credit", body, If_Match="*").code == "precondition_failed"
    assert olga.put("teams/credit", body, If_None_Match="*").status == 201
    assert olga.put("teams/credit", body, If_None_Match="*").code == "precondition_failed"


def test_a_wrong_team_is_refused_with_its_places(acme: World, olga: Caller, carol: Caller) -> None:
    wrong = [email(acme, "bob"), "nobody@b.example", "", email(acme, "alice")]
    answer = olga.put("teams/credit", {"members": wrong}, If_None_Match="*")
    assert (answer.status, answer.pointers) == (422, ["/members/1", "/members/2"])

    assert olga.put("teams/credit", {"members": [], "slug": "x"}, If_None_Match="*").pointers == ["/slug"]
    assert olga.put("teams/Credit", {"members": []}, If_None_Match="*").code == "bad_slug"
    olga.put("teams/a", {"members": []}, If_None_Match="*")
    olga.put("teams/b", {"members": []}, If_None_Match="*")
    assert olga.put("teams/a", {"members": [], "slug": "b"}, If_Match="*").code == "slug_taken"


def test_a_deleted_teams_grants_are_gone(acme: World, olga: Caller) -> None:
    olga.put("teams/desk", {"members": [email(acme, "bob")]}, If_None_Match="*")
    tools.put("lookup", LOOKUP, acting_as=acme.alice)
    assert olga.post("tools/lookup/grants", {"team": "desk", "permission": "use"}).status == 201
    assert olga("DELETE", "teams/desk").status == 204

    assert olga.get("tools/lookup/grants").json["results"] == []
    with tenant_scope(acme.tenant_id):
        assert not grants.held(acme.bob, "use", tools.by_name("lookup"))


def test_a_team_that_a_queue_names_stays(acme: World, olga: Caller) -> None:
    olga.put("teams/desk", {"members": []}, If_None_Match="*")
    queues.put("inbox", {"teams": ["desk"]}, acting_as=acme.alice)

    answer = olga("DELETE", "teams/desk")

    assert (answer.status, answer.code) == (409, "team_in_use")
    assert "inbox" in answer.json["detail"]


# --- staff's access -----------------------------------------------------------------------------------------------


def test_owners_and_compliance_see_when_staff_could_look(acme: World, olga: Caller, carol: Caller) -> None:
    sam = add_factor(staff.add(email=f"sam@staff-{acme.slug}.example", acting_as=COMMAND))
    tenant = tenants.by_id(acme.tenant_id)
    staff.open_access(tenant, email=sam.email, reason="Ticket 4711: a run hangs.", hours=1, acting_as=COMMAND)

    answer = olga.get("staff-access")
    assert fits(answer, "StaffAccessPage")
    [shown] = answer.json["results"]
    assert (shown["staff"], shown["reason"], shown["open"]) == (sam.email, "Ticket 4711: a run hangs.", True)
    staff.close_access(tenant, email=sam.email, acting_as=COMMAND)
    compliance = caller(acme, acme.member("cora", Role.COMPLIANCE))
    [closed] = compliance.get("staff-access").json["results"]
    assert closed["open"] is False
    assert closed["closed_at"] is not None
    assert carol.get("staff-access").status == 403
    theirs = caller(acme, acme.member("dev", Role.DEVELOPER), *SCOPES)
    assert theirs.get("staff-access").status == 403


# --- what is recorded ---------------------------------------------------------------------------------------------


def test_each_change_is_one_record_by_the_one_who_made_it(acme: World, olga: Caller) -> None:
    def records() -> int:
        with tenant_scope(acme.tenant_id):
            return Record.objects.count()

    service = olga.post("service-accounts", {"name": "portal", "role": "viewer"}).json["id"]
    changes: list[Callable[[], Answer]] = [
        lambda: change(olga, f"members/{acme.bob.user_id}", "reviewer"),
        lambda: change(olga, f"members/{acme.bob.user_id}", "reviewer", active=False),
        lambda: change(olga, f"service-accounts/{service}", "developer"),
        lambda: olga("DELETE", f"members/{acme.bob.user_id}"),
        lambda: olga.put("teams/credit", {"members": []}, If_None_Match="*"),
        lambda: olga("DELETE", "teams/credit"),
        lambda: olga.post("invitations", {"email": "new@b.example", "role": "viewer"}),
        lambda: olga.post("keys", {"name": "k", "scopes": ["runs:read"]}),
    ]

    for make in changes:
        before = records()
        assert make().status < 300
        assert records() == before + 1
    assert olga.principal is not None
    with tenant_scope(acme.tenant_id):
        assert {record.actor for record in Record.objects.order_by("-id")[: len(changes)]} == {olga.principal.actor}


@pytest.mark.parametrize("path", ["members", "service-accounts", "invitations", "keys"])
@pytest.mark.parametrize("text", ["x", "..", "%00", "a%0ab"])
def test_what_is_no_id_is_not_found(olga: Caller, path: str, text: str) -> None:
    answer = olga.get(f"{path}/{text}")

    assert answer.code == "not_found"
    assert answer.content == olga.get(f"{path}/{uuid4()}").content

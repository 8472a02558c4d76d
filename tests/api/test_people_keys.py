"""API keys over REST: who makes which, what they may do, and that nobody gets another person's."""

from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import uuid4

import pytest
from django.utils import timezone
from pytest_django import Settings

from tenants.actions import api_keys
from tenants.models import Role, Tenant
from tenants.principal import COMMAND
from tenants.scopes import SCOPES
from tests.api.conftest import Answer, Caller, caller
from tests.api.test_schema import fits
from tests.worlds import World

READ = {"name": "laptop", "scopes": ["runs:read"]}


@pytest.fixture
def olga(acme: World) -> Caller:
    """The tenant's owner."""
    return caller(acme, acme.member("olga", Role.OWNER), *SCOPES)


@pytest.fixture
def dora(acme: World) -> Caller:
    """A developer."""
    return caller(acme, acme.member("dora", Role.DEVELOPER))


def made(answer: Answer) -> str:
    assert answer.status == 201, answer.content
    text: str = answer.json["key"]
    return text


def named(who: Caller, name: str) -> str:
    [found] = [each["id"] for each in who.get("keys?limit=200").json["results"] if each["name"] == name]
    return str(found)


def test_a_key_is_shown_once(olga: Caller) -> None:
    answer = olga.post("keys", READ)
    text = made(answer)

    assert fits(answer, "NewApiKey")
    assert answer.headers["Cache-Control"] == "no-store"
    assert text.startswith(answer.json["prefix"])
    read = olga.get(f"keys/{answer.json['id']}")
    assert fits(read, "ApiKey")
    assert (read.json["status"], read.json["last_used_at"]) == ("active", None)
    assert fits(olga.get("keys"), "ApiKeyPage")
    for shown in (read, olga.get("keys")):
        assert text.encode() not in shown.content
    assert Caller(None, text).get("runs").status == 200
    assert olga.get(f"keys/{answer.json['id']}").json["last_used_at"] is not None


def test_a_developer_has_keys_of_their_own_and_sees_no_others(acme: World, olga: Caller, dora: Caller) -> None:
    olgas = olga.post("keys", {**READ, "name": "olga's"}).json["id"]
    answer = dora.post("keys", {**READ, "name": "dora's"})
    assert answer.json["acts_as"] == f"dora@{acme.slug}.example"

    assert {each["acts_as"] for each in dora.get("keys").json["results"]} == {f"dora@{acme.slug}.example"}
    missing = dora.get(f"keys/{uuid4()}")
    for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/rotate")):
        hidden = dora(method, f"keys/{olgas}{path}")
        assert (hidden.status, hidden.content) == (404, missing.content)
    assert {each["name"] for each in olga.get("keys").json["results"]} >= {"olga's", "dora's"}
    assert dora("DELETE", f"keys/{answer.json['id']}").status == 204
    assert Caller(None, answer.json["key"]).get("runs").code == "bad_key"


@pytest.mark.parametrize("role", [Role.VIEWER, Role.REVIEWER, Role.OPERATOR, Role.COMPLIANCE])
def test_other_roles_have_nothing_to_do_with_keys(acme: World, olga: Caller, role: Role) -> None:
    key = olga.post("keys", READ).json["id"]
    who = caller(acme, acme.member("somebody", role), *SCOPES)

    for method, path in (("GET", "keys"), ("POST", "keys"), ("GET", f"keys/{key}"), ("DELETE", f"keys/{key}")):
        assert who(method, path, READ if method == "POST" else None).code == "forbidden"


def test_nobody_gives_scopes_beyond_their_role(dora: Caller) -> None:
    for scope in ("runs:on_behalf_of", "agents:write", "audit:export", "admin"):
        answer = dora.post("keys", {"name": "k", "scopes": ["runs:read", scope]})
        assert answer.status == 403
        assert scope in answer.json["detail"]
    assert dora.get("keys").json["results"][0]["name"] == "test", "none was made"


def test_a_key_makes_no_key_with_scopes_beyond_its_own(acme: World, olga: Caller) -> None:
    assert olga.principal is not None
    narrow = caller(acme, olga.principal, "keys:write", "runs:read")

    answer = narrow.post("keys", {"name": "k", "scopes": ["runs:read", "runs:write"]})
    assert (answer.status, answer.code) == (403, "missing_scope")
    assert narrow.post("keys", READ).status == 201
    wide = olga.post("keys", {"name": "wide", "scopes": ["runs:read", "admin"]}).json["id"]
    assert narrow.post(f"keys/{wide}/rotate").code == "missing_scope"
    admin = caller(acme, olga.principal, "admin", "runs:read")
    service = olga.post("service-accounts", {"name": "s", "role": "owner"}).json["id"]
    refused = admin.post("keys", {"name": "k", "scopes": ["runs:write"], "service_account": service})
    assert (refused.status, refused.code) == (403, "missing_scope")


def test_a_developer_makes_no_key_for_a_service(olga: Caller, dora: Caller) -> None:
    service = olga.post("service-accounts", {"name": "s", "role": "owner"}).json["id"]

    assert dora.post("keys", {**READ, "service_account": service}).status == 403


def test_nobody_gets_a_key_that_acts_as_another_person(acme: World, olga: Caller, dora: Caller) -> None:
    """Not even an owner: decisions made with it would bear that person's name."""
    doras = dora.post("keys", {**READ, "name": "dora's"}).json

    refused = olga.post(f"keys/{doras['id']}/rotate")
    assert (refused.status, refused.code) == (403, "forbidden")
    assert olga.post("keys", {**READ, "user": f"dora@{acme.slug}.example"}).pointers == ["/user"]
    as_service = olga.post("keys", {**READ, "service_account": str(acme.bob.user_id)})
    assert (as_service.status, as_service.pointers) == (422, ["/service_account"])
    assert olga("DELETE", f"keys/{doras['id']}").status == 204
    assert Caller(None, doras["key"]).get("runs").code == "bad_key"


@pytest.mark.parametrize("owner", [True, False])
def test_a_key_is_replaced_and_both_work_meanwhile(olga: Caller, dora: Caller, owner: bool) -> None:
    who = olga if owner else dora
    old = who.post("keys", READ).json
    answer = who.post(f"keys/{old['id']}/rotate", {"overlap_s": 3600})
    new = answer.json

    assert fits(answer, "NewApiKey")
    assert answer.headers["Cache-Control"] == "no-store"
    assert (new["scopes"], new["acts_as"]) == (old["scopes"], old["acts_as"])
    for text in (old["key"], new["key"]):
        assert Caller(None, text).get("runs").status == 200
    shown = who.get(f"keys/{old['id']}").json
    assert (shown["status"], shown["successor"]) == ("active", new["id"])
    assert who.post(f"keys/{old['id']}/rotate").code == "key_ended"
    ended = who.post(f"keys/{new['id']}/rotate", {"overlap_s": 0}).json
    assert Caller(None, new["key"]).get("runs").code == "bad_key"
    assert Caller(None, ended["key"]).get("runs").status == 200


def test_a_key_that_ends_makes_none_that_lives_longer(acme: World, olga: Caller, dora: Caller) -> None:
    until = (timezone.now() + timedelta(hours=1)).isoformat()
    later = (timezone.now() + timedelta(days=1)).isoformat()
    scopes = ["keys:write", "runs:read"]
    short = dora.post("keys", {"name": "short", "scopes": scopes, "expires_at": until}).json
    who = Caller(dora.principal, short["key"])

    assert who.post("keys", {**READ, "expires_at": later}).code == "bad_expiry"
    assert who.post("keys", READ).json["expires_at"] == until
    endless = dora.post("keys", {"name": "endless", "scopes": scopes}).json
    assert endless["expires_at"] is None
    assert who.post(f"keys/{endless['id']}/rotate").json["expires_at"] == until
    assert who.post(f"keys/{short['id']}/rotate", {"expires_at": later}).code == "bad_expiry"
    assert who.post(f"keys/{short['id']}/rotate").json["expires_at"] == until


def test_the_installations_bound_is_shown(olga: Caller, settings: Settings) -> None:
    key = olga.post("keys", READ).json
    assert key["expires_at"] is None

    settings.API_KEY_MAX_DAYS = 30

    shown = olga.get(f"keys/{key['id']}").json
    assert datetime.fromisoformat(shown["expires_at"]) == datetime.fromisoformat(key["created_at"]) + timedelta(days=30)


def test_an_owner_replaces_a_services_key(olga: Caller) -> None:
    service = olga.post("service-accounts", {"name": "s", "role": "developer"}).json["id"]
    key = olga.post("keys", {**READ, "service_account": service}).json

    assert olga.post(f"keys/{key['id']}/rotate").status == 201


def test_a_key_can_replace_itself(acme: World, olga: Caller) -> None:
    text = made(olga.post("keys", {"name": "robot", "scopes": ["keys:write", "runs:read"]}))
    robot = Caller(None, text)

    successor = made(robot.post(f"keys/{named(robot, 'robot')}/rotate", {"overlap_s": 0}))

    assert robot.get("runs").code == "bad_key"
    assert Caller(None, successor).get("runs").status == 200


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"expires_at": "yesterday"}, "invalid_body"),
        ({"expires_at": "2030-01-31T12:00:00"}, "invalid_body"),
        ({"expires_at": "2020-01-31T12:00:00Z"}, "bad_expiry"),
        ({"scopes": []}, "invalid_body"),
        ({"scopes": ["runs:fly"]}, "invalid_body"),
        ({"scopes": ["runs:read", "runs:read"]}, "invalid_body"),
        ({"name": ""}, "invalid_body"),
        ({"name": "a\nb"}, "bad_name"),
        ({"service_account": "x"}, "invalid_body"),
        ({"service_account": str(uuid4())}, "invalid_body"),
        ({"key": "cs_mine"}, "invalid_body"),
    ],
)
def test_a_wrong_key_is_refused(olga: Caller, more: dict[str, object], code: str) -> None:
    answer = olga.post("keys", {**READ, **more})

    assert (answer.status, answer.code) == (422, code)


@pytest.mark.parametrize("body", [{"overlap_s": -1}, {"overlap_s": 2592001}, {"overlap_s": 0.5}, {"scopes": ["admin"]}])
def test_a_wrong_successor_is_refused(olga: Caller, body: dict[str, object]) -> None:
    key = olga.post("keys", READ).json["id"]

    assert olga.post(f"keys/{key}/rotate", body).code == "invalid_body"


def test_a_keys_end_is_kept(olga: Caller) -> None:
    until = (timezone.now() + timedelta(days=3)).isoformat()
    key = olga.post("keys", {**READ, "expires_at": until}).json

    assert key["expires_at"] == until
    successor = olga.post(f"keys/{key['id']}/rotate", {"expires_at": until}).json
    assert successor["expires_at"] == until


OTHERS: dict[str, Callable[[Caller, str], Answer]] = {
    "read": lambda who, key: who.get(f"keys/{key}"),
    "replace": lambda who, key: who.post(f"keys/{key}/rotate"),
    "revoke": lambda who, key: who("DELETE", f"keys/{key}"),
}


@pytest.mark.parametrize("do", OTHERS.values(), ids=OTHERS)
def test_another_tenants_key_is_none(
    acme: World, olga: Caller, carol: Caller, do: Callable[[Caller, str], Answer]
) -> None:
    assert carol.principal is not None
    key, _ = api_keys.create(
        tenant=Tenant.objects.get(id=carol.principal.tenant_id),
        name="k",
        scopes=["runs:read"],
        acting_as=COMMAND,
    )

    answer = do(olga, str(key.id))

    assert answer.code == "not_found"
    assert answer.content == do(olga, str(uuid4())).content

"""Whoever is known and is refused leaves one record of it; a stranger leaves none."""

import hashlib
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from audit.models import Record
from db.scope import tenant_scope
from tenants.actions import api_keys, members
from tenants.errors import BadKey
from tenants.models import ApiKey, Membership, Role
from tenants.principal import COMMAND
from tests.api.conftest import Caller, caller, member
from tests.console.conftest import peopled, signed_in
from tests.journal.conftest import Failing
from tests.trips import trips
from tests.web.conftest import limits
from tests.worlds import World

__all__ = ["limits"]

Json = Any


@pytest.fixture
def acme(database: None) -> World:
    """A tenant whose people have passwords and keys."""
    return peopled()


def refusals(of: World, action: str = "access.refused") -> list[tuple[Json, ...]]:
    """Return (stream, actor, subject, outcome, facts) of each refusal in the tenant's journal."""
    with tenant_scope(of.tenant_id):
        rows = Record.objects.filter(action=action).order_by("id")
        return list(rows.values_list("stream", "actor", "subject", "outcome", "facts"))


def key_of(of: World, who: Caller) -> ApiKey:
    """Return the caller's key."""
    assert who.key is not None
    with tenant_scope(of.tenant_id):
        return ApiKey.objects.get(digest=hashlib.sha256(who.key.encode()).digest())


def test_a_403_of_a_role_names_address_method_code_and_permission(acme: World) -> None:
    bob = caller(acme, acme.bob)
    assert bob.post("runs", {"agent": "refund-desk", "input": {}}).code == "forbidden"

    user, key = acme.bob.user_id, f"key:{key_of(acme, bob).id}"
    facts = {"route": "api:runs", "method": "POST", "code": "forbidden", "permission": "runs:write", "via": key}
    assert refusals(acme) == [(user, f"user:{user}", key, "denied", facts)]


def test_a_403_of_a_key_names_the_scope(acme: World) -> None:
    narrow = caller(acme, acme.alice, "usage:read")
    assert narrow.get("agents").code == "missing_scope"

    [(_, _, key, _, facts)] = refusals(acme)
    told = {"route": "api:agents", "method": "GET", "code": "missing_scope", "permission": "agents:read"}
    assert facts == told | {"via": key}


def test_a_403_of_an_object_leaves_one_too(acme: World) -> None:
    dev = caller(acme, member(acme, Role.DEVELOPER, "dev"))
    assert dev.post("runs", {"agent": "refund-desk", "input": {}}).code == "missing_grant"

    [(_, _, _, _, facts)] = refusals(acme)
    assert facts["code"] == "missing_grant"


def test_each_one_leaves_one(acme: World) -> None:
    bob = caller(acme, acme.bob)
    for _ in range(3):
        bob.post("runs", {"agent": "refund-desk", "input": {}})

    assert len(refusals(acme)) == 3


def test_too_many_are_not_told_one_by_one(acme: World, limits: Callable[..., None]) -> None:
    bob, other_key, alice = caller(acme, acme.bob), caller(acme, acme.bob), caller(acme, acme.alice)
    limits(refusals=3)

    codes = [who.post("runs", {}).code for who in (bob, other_key, bob, bob, other_key, bob)]

    assert codes == ["forbidden"] * 3 + ["rate_limited"] * 3
    assert len(refusals(acme)) == 3
    user, key = acme.bob.user_id, f"key:{key_of(acme, bob).id}"
    assert refusals(acme, "access.throttled") == [(user, f"user:{user}", key, "denied", {"via": key})]
    assert bob.get("runs").status == 200
    assert caller(acme, acme.alice, "usage:read").get("agents").status == 403
    assert alice.get("runs").status == 200


def test_too_many_say_when_to_come_again(acme: World, limits: Callable[..., None]) -> None:
    bob = caller(acme, acme.bob)
    limits(refusals=1)
    bob.post("runs", {})

    answer = bob.post("runs", {})

    assert (answer.status, int(answer.headers["Retry-After"]) >= 1) == (429, True)
    assert answer.headers["RateLimit"].startswith('"refusals";r=0;t=')


def test_that_there_were_too_many_is_told_as_soon_as_it_can_be(
    acme: World, limits: Callable[..., None], failing: Failing
) -> None:
    bob = caller(acme, acme.bob)
    limits(refusals=1)
    bob.post("runs", {})

    with failing():
        assert bob.post("runs", {}).code == "unavailable"
    assert refusals(acme, "access.throttled") == []
    assert [bob.post("runs", {}).code for _ in range(2)] == ["rate_limited"] * 2
    assert len(refusals(acme, "access.throttled")) == 1


def test_pages_have_the_same_budget(acme: World, limits: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    from access import permissions

    monkeypatch.setitem(permissions.ALLOWED, Role.VIEWER, frozenset({"agents:read"}))
    bob, key = signed_in(acme, "bob"), caller(acme, acme.bob)
    limits(refusals=2)

    runs = f"/{acme.slug}/runs/"
    assert [bob.get(runs).status_code, key.get("runs").status] == [403, 403]
    assert [bob.get(runs).status_code, bob.get(f"{runs}{uuid4()}/live/").status_code] == [429, 429]
    assert [len(refusals(acme, action)) for action in ("access.refused", "access.throttled")] == [2, 1]


def test_a_key_that_opens_nothing_any_more_leaves_so_many_records_and_no_more(
    acme: World, limits: Callable[..., None]
) -> None:
    bob, alice = caller(acme, acme.bob), caller(acme, acme.alice)
    api_keys.revoke(key_of(acme, bob), acting_as=COMMAND)
    limits(refusals=2)

    assert [bob.get("agents").code for _ in range(4)] == ["bad_key"] * 2 + ["rate_limited"] * 2
    assert len(refusals(acme, "key.refused")) == 2
    assert Caller(None, "cs_nobody-made-this").get("agents").code == "bad_key"
    assert alice.get("agents").status == 200


def test_what_is_not_there_and_what_is_wrong_leaves_none(acme: World) -> None:
    alice = caller(acme, acme.alice)
    assert alice.get(f"runs/{uuid4()}").status == 404
    assert alice.post("runs", {"agent": 1}).status == 422
    assert alice("PATCH", "runs").status == 405

    assert refusals(acme) == []


def test_a_refusal_that_cannot_be_recorded_is_not_told_either(acme: World, failing: Failing) -> None:
    bob = caller(acme, acme.bob)
    with failing():
        answer = bob.post("runs", {"agent": "refund-desk", "input": {}})

    assert (answer.status, answer.code) == (503, "unavailable")
    assert refusals(acme) == []


def test_pages_record_it_as_well(acme: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """No role lacks what the pages there are need, so one is made to."""
    from access import permissions

    monkeypatch.setitem(permissions.ALLOWED, Role.VIEWER, frozenset({"agents:read"}))
    bob = signed_in(acme, "bob")
    run = uuid4()
    assert bob.get(f"/{acme.slug}/runs/").status_code == 403
    assert bob.get(f"/{acme.slug}/runs/{run}/live/").status_code == 403
    user = acme.bob.user_id
    assert refusals(acme) == [
        (
            user,
            f"user:{user}",
            None,
            "denied",
            {"route": f"console:{name}", "method": "GET", "code": "forbidden", "permission": "runs:read"},
        )
        for name in ("runs", "live")
    ]


# --- keys -----------------------------------------------------------------------------------------------------------


def revoke(of: World, key: ApiKey) -> None:
    api_keys.revoke(key, acting_as=COMMAND)


def expire(of: World, key: ApiKey) -> None:
    with tenant_scope(of.tenant_id):
        ApiKey.objects.filter(id=key.id).update(expires_at=timezone.now() - timedelta(seconds=1))


def close_account(of: World, key: ApiKey) -> None:
    key.principal.is_active = False
    key.principal.save()


def deactivate(of: World, key: ApiKey) -> None:
    with tenant_scope(of.tenant_id):
        Membership.objects.filter(user_id=key.principal_id).update(is_active=False)


def dismiss(of: World, key: ApiKey) -> None:
    with tenant_scope(of.tenant_id):
        members.remove(Membership.objects.get(user_id=key.principal_id), acting_as=COMMAND)


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        (revoke, "revoked"),
        (expire, "expired"),
        (close_account, "inactive"),
        (deactivate, "inactive"),
        (dismiss, "revoked"),
    ],
)
def test_a_key_that_opens_nothing_any_more_is_told_in_its_tenants_journal(
    acme: World, end: Callable[[World, ApiKey], None], reason: str
) -> None:
    bob = caller(acme, acme.bob)
    with tenant_scope(acme.tenant_id):
        key = ApiKey.objects.select_related("principal").get(id=key_of(acme, bob).id)
    end(acme, key)

    answers = [bob.get("agents"), bob.get("agents"), Caller(None, "cs_nobody-made-this").get("agents")]

    assert {(answer.status, answer.code) for answer in answers} == {(401, "bad_key")}
    assert len({answer.content for answer in answers}) == 1
    told = (key.id, f"key:{key.id}", f"user:{key.principal_id}", "denied", {"reason": reason})
    assert refusals(acme, "key.refused") == [told, told]


def test_a_stranger_makes_no_journal_grow(acme: World) -> None:
    with tenant_scope(acme.tenant_id):
        before = Record.objects.count()

    for text in ("cs_" + "a" * 43, "cs_", "x", "cs_" + "\N{LATIN SMALL LETTER E WITH ACUTE}"):
        with pytest.raises(BadKey):
            api_keys.authenticate(text)
    assert Caller(None, None).get("agents").code == "no_key"

    with tenant_scope(acme.tenant_id):
        assert Record.objects.count() == before


def test_a_good_key_costs_one_round_trip(acme: World) -> None:
    alice = caller(acme, acme.alice)
    assert alice.key is not None
    api_keys.authenticate(alice.key)  # notes the time of use, once a minute

    with CaptureQueriesContext(connection) as queries, trips() as made:
        api_keys.authenticate(alice.key)

    assert (len(made), len(queries)) == (1, 0)


def test_nothing_of_the_refused_change_stays(acme: World) -> None:
    dev = caller(acme, member(acme, Role.DEVELOPER, "dev"))
    with tenant_scope(acme.tenant_id):
        before = {str(each) for each in Record.objects.values_list("id", flat=True)}
    dev.put("agents/new", {"spec": {"role": "x", "model": {"id": "claude-opus-4-7"}}}, If_None_Match="*")

    with tenant_scope(acme.tenant_id):
        added = Record.objects.exclude(id__in=[UUID(each) for each in before])
        assert list(added.values_list("action", flat=True)) == ["access.refused"]

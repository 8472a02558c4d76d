"""Invitations: one address, one use, seven days; the token is kept nowhere."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from django.db import connection
from django.utils import timezone

from audit.models import Payload, Record
from db.embedded import Server
from db.models import new_id
from db.scope import tenant_scope
from tenants.actions import invitations, members, tenants
from tenants.errors import (
    AlreadyMember,
    AnothersInvitation,
    BadEmail,
    ExpiredInvitation,
    InvitationEnded,
    MemberInactive,
    TenantError,
    UnknownInvitation,
)
from tenants.models import Invitation, Membership, Role, User
from tenants.principal import COMMAND
from tests.worlds import World, world

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture
def here() -> World:
    return world()


def address(here: World) -> str:
    return f"ina@{here.slug}.example"


def invite(here: World, email: str = "", role: Role = Role.REVIEWER, by: str = COMMAND) -> tuple[Invitation, str]:
    return invitations.invite(tenant_id=here.tenant_id, email=email or address(here), role=role, acting_as=by)


def account(email: str, **more: Any) -> UUID:
    return User.objects.create_user(email, **more).id


def test_an_accepted_invitation_makes_a_member(here: World) -> None:
    olga = here.member("olga", Role.OWNER)
    invitation, token = invite(here, f" INA@{here.slug}.Example ", by=olga.actor)
    found = invitations.find(token)
    assert (found.tenant_id, found.invitation_id, found.email, found.role, found.tenant_name) == (
        here.tenant_id,
        invitation.id,
        address(here),
        Role.REVIEWER,
        here.slug,
    )

    user_id = account(address(here))
    membership = invitations.accept(token, user_id=user_id)

    principal = members.principal(tenant_id=here.tenant_id, user_id=user_id)
    assert principal is not None
    assert principal.role == Role.REVIEWER
    with tenant_scope(here.tenant_id):
        [record] = Record.objects.filter(stream=membership.id)
        assert Invitation.objects.get(id=invitation.id).accepted_at is not None
    assert (record.action, record.actor) == ("member.added", f"user:{user_id}")
    assert record.facts["invitation"] == f"invitation:{invitation.id}"


def test_an_invitation_is_used_once(here: World) -> None:
    _, token = invite(here)
    user_id = account(address(here))
    membership = invitations.accept(token, user_id=user_id)
    members.remove(membership, acting_as=COMMAND)

    with pytest.raises(UnknownInvitation):
        invitations.find(token)
    with pytest.raises(UnknownInvitation):
        invitations.accept(token, user_id=user_id)


def test_of_many_who_accept_at_once_one_does(here: World) -> None:
    _, token = invite(here)
    user_id = account(address(here))

    def attempt(_: int) -> str:
        try:
            invitations.accept(token, user_id=user_id)
        except TenantError as error:
            return error.code
        finally:
            connection.close()
        return "done"

    with ThreadPoolExecutor(6) as pool:
        assert sorted(pool.map(attempt, range(6))) == ["done", *["unknown_invitation"] * 5]


def test_it_is_for_the_one_invited_alone(here: World) -> None:
    _, token = invite(here)
    strangers = [
        account(f"mallory@{here.slug}.example"),
        account(f"inactive@{here.slug}.example", is_active=False),
        here.bob.user_id,
        new_id(),
    ]

    for stranger in strangers:
        with pytest.raises(AnothersInvitation):
            invitations.accept(token, user_id=stranger)
    with tenant_scope(here.tenant_id):
        assert Membership.objects.count() == 3
    assert invitations.find(token).email == address(here)


@pytest.mark.parametrize("more", [{"is_active": False}, {"is_service": True}])
def test_an_account_that_may_not_sign_in_accepts_nothing(here: World, more: dict[str, bool]) -> None:
    _, token = invite(here)

    with pytest.raises(AnothersInvitation):
        invitations.accept(token, user_id=account(address(here), **more))


@pytest.mark.parametrize("token", ["", "x", "é", "\x00", "A" * 43, "A" * 100_000], ids=ascii)
def test_what_is_no_token_finds_nothing(here: World, token: str) -> None:
    invite(here)

    with pytest.raises(UnknownInvitation):
        invitations.find(token)
    with pytest.raises(UnknownInvitation):
        invitations.accept(token, user_id=new_id())


def test_an_expired_invitation_says_so(here: World) -> None:
    invitation, token = invite(here)
    assert timedelta(days=6) < invitation.expires_at - timezone.now() <= timedelta(days=7)
    with tenant_scope(here.tenant_id):
        Invitation.objects.update(expires_at=timezone.now())

    with pytest.raises(ExpiredInvitation):
        invitations.find(token)
    with pytest.raises(ExpiredInvitation):
        invitations.accept(token, user_id=account(address(here)))


def test_a_withdrawn_invitation_opens_nothing(here: World) -> None:
    invitation, token = invite(here)
    invitations.revoke(invitation, acting_as=COMMAND)

    with pytest.raises(UnknownInvitation):
        invitations.find(token)
    with pytest.raises(InvitationEnded):
        invitations.revoke(invitation, acting_as=COMMAND)


def test_inviting_again_replaces_the_link(here: World) -> None:
    first, old = invite(here, role=Role.OWNER)
    second, new = invite(here, role=Role.VIEWER)

    with pytest.raises(UnknownInvitation):
        invitations.find(old)
    assert invitations.find(new).role == Role.VIEWER
    with tenant_scope(here.tenant_id):
        record = Record.objects.get(stream=second.id)
    assert record.facts == {"role": "viewer", "replaces": [f"invitation:{first.id}"]}


def test_of_many_invitations_at_once_one_is_pending(here: World) -> None:
    def attempt(_: int) -> None:
        try:
            invite(here)
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(attempt, range(6)))
    with tenant_scope(here.tenant_id):
        assert Invitation.objects.filter(accepted_at=None, revoked_at=None).count() == 1


def test_members_are_not_invited(here: World) -> None:
    with pytest.raises(AlreadyMember):
        invite(here, f"bob@{here.slug}.example")
    with tenant_scope(here.tenant_id):
        bob = members.any_by_email(f"bob@{here.slug}.example")
    members.deactivate(bob, acting_as=COMMAND)
    with pytest.raises(MemberInactive):
        invite(here, f"bob@{here.slug}.example")


def test_who_became_a_member_meanwhile_keeps_that_role(here: World) -> None:
    _, token = invite(here, role=Role.OWNER)
    made = members.put(tenant=tenants.by_id(here.tenant_id), email=address(here), role=Role.VIEWER, acting_as=COMMAND)

    with pytest.raises(AlreadyMember):
        invitations.accept(token, user_id=made.user_id)
    principal = members.principal(tenant_id=here.tenant_id, user_id=made.user_id)
    assert principal is not None
    assert principal.role == Role.VIEWER


def test_invitations_of_two_tenants_do_not_meet(here: World) -> None:
    there = world()
    _, mine = invite(here)
    _, theirs = invite(there, address(here), Role.OWNER)
    user_id = account(address(here))
    invitations.accept(mine, user_id=user_id)

    assert members.principal(tenant_id=there.tenant_id, user_id=user_id) is None
    assert invitations.find(theirs).tenant_id == there.tenant_id


@pytest.mark.parametrize("email", ["", "nobody", "a@b@c.example", "x@accounts.service", "a@b.example\nBcc: c@d.e"])
def test_what_is_no_address_of_a_person_is_not_invited(here: World, email: str) -> None:
    with pytest.raises(BadEmail):
        invitations.invite(tenant_id=here.tenant_id, email=email, role=Role.VIEWER, acting_as=COMMAND)


def test_the_record_holds_the_address_where_it_can_be_erased_and_the_token_nowhere(
    here: World, embedded_server: Server
) -> None:
    invitation, token = invite(here)

    with tenant_scope(here.tenant_id):
        record = Record.objects.get(stream=invitation.id)
        assert json.loads(Payload.objects.get(record_id=record.id).value) == {"email": address(here)}
    assert address(here) not in json.dumps(record.facts)
    with psycopg.connect(embedded_server.dsn(database=connection.settings_dict["NAME"])) as raw:
        names = raw.execute(
            "SELECT oid::regclass::text FROM pg_class WHERE relkind IN ('r', 'p') AND NOT relispartition "
            "AND relnamespace = 'public'::regnamespace"
        ).fetchall()
        for (name,) in names:
            found = raw.execute(f"SELECT 1 FROM {name} AS r WHERE r::text LIKE %s", [f"%{token}%"])  # noqa: S608
            assert found.fetchone() is None, name

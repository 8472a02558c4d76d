"""What goes with a member who leaves or is deactivated, and what a reactivated one comes back with."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection

from access import grants
from agents.actions import tools
from agents.models import AgentUserGrant, ToolUserGrant
from audit.models import Record
from db.scope import tenant_scope
from escalations.actions import queues
from escalations.models import QueueMember
from tenants.actions import api_keys, invitations, members, teams, tenants
from tenants.errors import BadKey, MemberInactive, UnknownInvitation, UnknownMember
from tenants.models import ApiKey, Membership, Role, TeamMember, User
from tenants.principal import COMMAND
from tests.worlds import LOOKUP, World, world

pytestmark = pytest.mark.usefixtures("database")

LEAVE: dict[str, Callable[..., Any]] = {"removed": members.remove, "deactivated": members.deactivate}
HELD = {"keys": 2, "teams": 1, "invitations": 1, "grants": 2, "queues": 1}


@pytest.fixture
def here() -> World:
    """A tenant whose Rita holds one of everything; another tenant's Rita, the same person, does too."""
    made = world()
    equip(made, email(made))
    return made


def email(here: World) -> str:
    return f"rita@{here.slug}.example"


def equip(here: World, address: str) -> None:
    tenant = tenants.by_id(here.tenant_id)
    rita = members.put(tenant=tenant, email=address, role=Role.OWNER, acting_as=COMMAND)
    here.member("olga", Role.OWNER)
    invitations.invite(tenant_id=tenant.id, email="x@y.example", role=Role.VIEWER, acting_as=f"user:{rita.user_id}")
    here.define("echo", role="Echo.", tool_specs={"lookup": LOOKUP})
    for _ in range(2):
        api_keys.create(tenant=tenant, name="k", scopes=["runs:read"], member_email=address, acting_as=COMMAND)
    teams.put(tenant_id=tenant.id, slug="desk", emails=[address], acting_as=COMMAND)
    queues.put("q", {"members": [address]}, acting_as=here.alice)
    with tenant_scope(tenant.id):
        user = User.objects.get(email=address)
        grants.add(here.agent("echo"), "run", user, acting_as=here.alice)
        grants.add(tools.by_name("lookup"), "use", user, acting_as=here.alice)


def place(here: World, address: str) -> Membership:
    with tenant_scope(here.tenant_id):
        return members.any_by_email(address)


def held(here: World, address: str) -> dict[str, int]:
    with tenant_scope(here.tenant_id):
        user = User.objects.get(email=address)
        groups = user.groups.filter(team__tenant_id=here.tenant_id).count()
        assert groups == TeamMember.objects.filter(user=user).count()
        return {
            "keys": ApiKey.objects.filter(principal=user, revoked_at=None).count(),
            "teams": groups,
            "grants": AgentUserGrant.objects.filter(user=user).count()
            + ToolUserGrant.objects.filter(user=user).count(),
            "queues": QueueMember.objects.filter(user=user).count(),
        }


@pytest.mark.parametrize("verb", LEAVE)
def test_everything_goes_along_and_one_record_tells_how_much(here: World, verb: str) -> None:
    rita = place(here, email(here))
    with tenant_scope(here.tenant_id):
        before = Record.objects.count()
    LEAVE[verb](rita, acting_as=COMMAND)

    assert not any(held(here, email(here)).values())
    with tenant_scope(here.tenant_id):
        assert Record.objects.count() == before + 1
        record = Record.objects.get(stream=rita.id, action=f"member.{verb}")
    assert record.facts.items() >= {"role": "owner", **HELD}.items()
    assert record.subject == f"user:{rita.user_id}"


@pytest.mark.parametrize("verb", LEAVE)
def test_what_they_hold_elsewhere_stays(here: World, verb: str) -> None:
    there = world()
    equip(there, email(here))
    LEAVE[verb](place(here, email(here)), acting_as=COMMAND)

    assert held(there, email(here)) == {key: count for key, count in HELD.items() if key != "invitations"}
    assert members.principal(tenant_id=there.tenant_id, user_id=here.rita.user_id) is not None


@pytest.mark.parametrize("verb", LEAVE)
def test_who_left_is_nobody_here_at_once(here: World, verb: str) -> None:
    tenant = tenants.by_id(here.tenant_id)
    _, text = api_keys.create(
        tenant=tenant, name="k", scopes=["runs:read"], member_email=email(here), acting_as=COMMAND
    )
    LEAVE[verb](place(here, email(here)), acting_as=COMMAND)

    assert members.principal(tenant_id=here.tenant_id, user_id=here.rita.user_id) is None
    assert members.tenants_of(here.rita.user_id) == []
    with pytest.raises(BadKey):
        api_keys.authenticate(text)
    with tenant_scope(here.tenant_id), pytest.raises(UnknownMember):
        members.by_email(email(here))
    with tenant_scope(here.tenant_id):
        assert not grants.held(here.rita, "run", here.agent("echo"))


def test_an_inactive_member_holds_nothing_by_role_either(here: World) -> None:
    members.deactivate(place(here, f"alice@{here.slug}.example"), acting_as=COMMAND)

    with tenant_scope(here.tenant_id):
        assert not grants.held(here.alice, "edit", here.agent("echo"))


def test_a_reactivated_member_comes_back_with_the_role_alone(here: World) -> None:
    rita = place(here, email(here))
    members.deactivate(rita, acting_as=COMMAND)
    members.reactivate(rita, acting_as=COMMAND)

    back = members.principal(tenant_id=here.tenant_id, user_id=here.rita.user_id)
    assert back is not None
    assert back.role == Role.OWNER
    assert not any(held(here, email(here)).values())
    with tenant_scope(here.tenant_id):
        assert [record.action for record in Record.objects.filter(stream=rita.id).order_by("id")][-2:] == [
            "member.deactivated",
            "member.reactivated",
        ]


def test_what_changes_nothing_leaves_no_record(here: World) -> None:
    rita = place(here, email(here))
    members.reactivate(rita, acting_as=COMMAND)
    members.change_role(rita, Role.OWNER, acting_as=COMMAND)
    members.deactivate(rita, acting_as=COMMAND)
    members.deactivate(rita, acting_as=COMMAND)

    with tenant_scope(here.tenant_id):
        actions = [record.action for record in Record.objects.filter(stream=rita.id).order_by("id")]
    assert actions == ["member.added", "member.changed", "member.deactivated"]


def test_adding_an_inactive_member_does_not_let_them_in_again(here: World) -> None:
    members.deactivate(place(here, email(here)), acting_as=COMMAND)

    with pytest.raises(MemberInactive):
        members.put(
            tenant=tenants.by_id(here.tenant_id), email=email(here), role=Role.OWNER, acting_as="system:provider"
        )
    with pytest.raises(MemberInactive):
        invitations.invite(tenant_id=here.tenant_id, email=email(here), role=Role.VIEWER, acting_as=COMMAND)


def test_who_was_removed_may_come_again_as_somebody_new(here: World) -> None:
    old = place(here, email(here))
    members.remove(old, acting_as=COMMAND)
    new = members.put(tenant=tenants.by_id(here.tenant_id), email=email(here), role=Role.VIEWER, acting_as=COMMAND)

    assert new.id != old.id
    assert not any(held(here, email(here)).values())
    with pytest.raises(UnknownMember):
        members.remove(old, acting_as=COMMAND)


def test_an_owner_who_is_one_no_more_leaves_no_pending_invitation(here: World) -> None:
    rita = place(here, email(here))
    _, token = invitations.invite(
        tenant_id=here.tenant_id, email="new@y.example", role=Role.OWNER, acting_as=f"user:{rita.user_id}"
    )
    members.change_role(rita, Role.VIEWER, acting_as=COMMAND)

    with pytest.raises(UnknownInvitation):
        invitations.find(token)


GIVE: dict[str, Callable[[World, User], Any]] = {
    "a key": lambda here, user: api_keys.create(
        tenant=tenants.by_id(here.tenant_id),
        name="k",
        scopes=["runs:read"],
        member_email=user.email,
        acting_as=COMMAND,
    ),
    "a team place": lambda here, user: teams.put(
        tenant_id=here.tenant_id, slug="late", emails=[user.email], acting_as=COMMAND
    ),
    "a grant": lambda here, user: grants.add(here.agent("echo"), "review", user, acting_as=here.alice),
    "a queue": lambda here, user: queues.put("late", {"members": [user.email]}, acting_as=here.alice),
}


@pytest.mark.parametrize("give", GIVE.values(), ids=GIVE)
@pytest.mark.parametrize("verb", LEAVE)
def test_whoever_is_given_something_while_leaving_does_not_keep_it(
    here: World, verb: str, give: Callable[[World, User], Any]
) -> None:
    rita = place(here, email(here))

    def attempt(action: Callable[[], Any]) -> str:
        try:
            action()
        except Exception as error:
            return str(getattr(error, "code", error))
        finally:
            connection.close()
        return "done"

    def hand_over() -> None:
        with tenant_scope(here.tenant_id):
            give(here, rita.user)

    with ThreadPoolExecutor(6) as pool:
        became = list(
            pool.map(attempt, [hand_over, hand_over, lambda: LEAVE[verb](rita, acting_as=COMMAND), hand_over])
        )

    assert became[2] == "done"
    assert set(became) <= {"done", "unknown_member", "invalid_document"}, became
    assert not any(held(here, email(here)).values())

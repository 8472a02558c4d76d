"""Who changes people, and that an owner always remains: one after the other, and all at once."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from django.db import connection

from db.scope import tenant_scope
from tenants.actions import invitations, members, teams, tenants
from tenants.errors import LastOwner, NotAnOwner, TenantError
from tenants.models import Membership, Role, User
from tenants.principal import COMMAND, Principal
from tests.worlds import World, world

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture
def here() -> World:
    return world()


def place(here: World, who: Principal) -> Membership:
    with tenant_scope(here.tenant_id):
        return Membership.objects.select_related("user").get(user_id=who.user_id)


def owners(here: World) -> set[str]:
    with tenant_scope(here.tenant_id):
        rows = Membership.objects.filter(role=Role.OWNER, is_active=True).values_list("user__email", flat=True)
        return {email.split("@")[0] for email in rows}


def at_once(*actions: Callable[[], Any]) -> list[str]:
    """Do all of it at the same time; return what became of each: `done`, or the error's code."""
    barrier = Barrier(len(actions))

    def one(action: Callable[[], Any]) -> str:
        try:
            barrier.wait()
            action()
        except TenantError as error:
            return error.code
        finally:
            connection.close()
        return "done"

    with ThreadPoolExecutor(len(actions)) as pool:
        return list(pool.map(one, actions))


#: What ends an owner's being one.
ENDS: dict[str, Callable[[Membership, str], Any]] = {
    "demotion": lambda membership, by: members.change_role(membership, Role.VIEWER, acting_as=by),
    "deactivation": lambda membership, by: members.deactivate(membership, acting_as=by),
    "removal": lambda membership, by: members.remove(membership, acting_as=by),
}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
@pytest.mark.parametrize("by_command", [True, False])
def test_the_last_owner_stays_one(here: World, end: Callable[[Membership, str], Any], by_command: bool) -> None:
    olga = here.member("olga", Role.OWNER)

    with pytest.raises(LastOwner):
        end(place(here, olga), COMMAND if by_command else olga.actor)

    assert owners(here) == {"olga"}


def test_a_command_that_changes_roles_keeps_the_last_owner_too(here: World) -> None:
    here.member("olga", Role.OWNER)

    with pytest.raises(LastOwner):
        here.member("olga", Role.VIEWER)


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_with_two_owners_one_may_go(here: World, end: Callable[[Membership, str], Any]) -> None:
    olga, oskar = here.member("olga", Role.OWNER), here.member("oskar", Role.OWNER)

    end(place(here, oskar), olga.actor)

    assert owners(here) == {"olga"}


def test_neither_the_inactive_nor_services_count_as_owners(here: World) -> None:
    olga, oskar = here.member("olga", Role.OWNER), here.member("oskar", Role.OWNER)
    with tenant_scope(here.tenant_id):
        members.put_service(name="robot", role=Role.OWNER, acting_as=COMMAND)
    User.objects.filter(id=oskar.user_id).update(is_active=False)

    with pytest.raises(LastOwner):
        members.remove(place(here, olga), acting_as=COMMAND)


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_of_two_owners_who_end_each_other_at_once_one_remains(
    here: World, end: Callable[[Membership, str], Any]
) -> None:
    for number in range(5):
        there = world()
        olga, oskar = there.member(f"olga{number}", Role.OWNER), there.member(f"oskar{number}", Role.OWNER)
        of_olga, of_oskar = place(there, olga), place(there, oskar)

        became = at_once(lambda: end(of_olga, oskar.actor), lambda: end(of_oskar, olga.actor))  # noqa: B023

        assert sorted(became) == ["done", "forbidden"]
        assert len(owners(there)) == 1


def test_of_many_owners_who_all_leave_at_once_one_remains(here: World) -> None:
    places = [place(here, here.member(f"owner{number}", Role.OWNER)) for number in range(6)]

    became = at_once(*[lambda each=each: members.remove(each, acting_as=COMMAND) for each in places])

    assert sorted(became) == [*["done"] * 5, "last_owner"]
    assert len(owners(here)) == 1


@pytest.mark.parametrize("role", [role for role in Role if role != Role.OWNER])
def test_only_an_owner_manages_people(here: World, role: Role) -> None:
    """So nobody raises their own role, nor anybody's above it."""
    who, bob = here.member("somebody", role), place(here, here.bob)
    tenant = tenants.by_id(here.tenant_id)
    attempts: list[Callable[[], Any]] = [
        lambda: members.change_role(place(here, who), Role.OWNER, acting_as=who.actor),
        lambda: members.change_role(bob, role, acting_as=who.actor),
        lambda: members.put(tenant=tenant, email=bob.user.email, role=Role.OWNER, acting_as=who.actor),
        lambda: members.remove(bob, acting_as=who.actor),
        lambda: members.deactivate(bob, acting_as=who.actor),
        lambda: members.reactivate(bob, acting_as=who.actor),
        lambda: invitations.invite(
            tenant_id=here.tenant_id, email="new@b.example", role=Role.VIEWER, acting_as=who.actor
        ),
        lambda: teams.put(tenant_id=here.tenant_id, slug="t", emails=[], acting_as=who.actor),
    ]

    for attempt in attempts:
        with pytest.raises(NotAnOwner):
            attempt()


@pytest.mark.parametrize("how", ["another tenant's", "inactive", "gone"])
def test_an_owner_who_is_none_here_any_more_manages_nobody(here: World, how: str) -> None:
    here.member("olga", Role.OWNER)
    oskar = world().member("oskar", Role.OWNER) if how == "another tenant's" else here.member("oskar", Role.OWNER)
    if how == "inactive":
        members.deactivate(place(here, oskar), acting_as=COMMAND)
    if how == "gone":
        members.remove(place(here, oskar), acting_as=COMMAND)

    with pytest.raises(NotAnOwner):
        members.remove(place(here, here.bob), acting_as=oskar.actor)

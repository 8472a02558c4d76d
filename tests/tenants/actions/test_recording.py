"""A change and its record stand or fall together, for each action on people, teams, keys and staff's access."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection

from audit import journal
from audit.models import Record
from db.scope import PLATFORM, tenant_scope
from tenants.actions import api_keys, invitations, members, staff, teams, tenants
from tenants.models import ApiKey, Invitation, Membership, Role, User
from tenants.principal import COMMAND
from tests.worlds import World, add_factor, world

pytestmark = pytest.mark.usefixtures("database")

TABLES = [
    "tenants_membership",
    "tenants_team",
    "tenants_teammember",
    "tenants_apikey",
    "tenants_invitation",
    "tenants_staffaccess",
    "audit_record",
    "audit_payload",
]
SHARED = ["tenants_user", "tenants_user_groups", "auth_group"]
OPEN = "Ticket 4711: a run does not end."


def place(here: World, name: str) -> Membership:
    with tenant_scope(here.tenant_id):
        return members.any_by_email(email(here, name))


def email(here: World, name: str) -> str:
    return f"{name}@{here.slug}.example"


def key(here: World) -> ApiKey:
    with tenant_scope(here.tenant_id):
        return ApiKey.objects.get(name="old")


def service(here: World) -> Any:
    with tenant_scope(here.tenant_id):
        return members.put_service(name="robot", role=Role.DEVELOPER, acting_as=COMMAND)


def put_team(here: World, slug: str, *people: str, **more: Any) -> Any:
    emails = [email(here, person) for person in people]
    return teams.put(tenant_id=here.tenant_id, slug=slug, emails=emails, acting_as=COMMAND, **more)


def delete_team(here: World) -> None:
    with tenant_scope(here.tenant_id):
        teams.delete(teams.by_slug("desk"), acting_as=COMMAND)


def invitation(here: World) -> tuple[Invitation, str]:
    return invitations.invite(tenant_id=here.tenant_id, email=email(here, "ina"), role=Role.VIEWER, acting_as=COMMAND)


def member(here: World, name: str, role: Role) -> Any:
    return members.put(tenant=tenants.by_id(here.tenant_id), email=email(here, name), role=role, acting_as=COMMAND)


def opened(here: World, **more: Any) -> Any:
    return staff.open_access(
        tenants.by_id(here.tenant_id), email=email(here, "sam"), reason=OPEN, hours=1, acting_as=COMMAND
    )


#: What is done first and is no part of what is tried → what is tried.
ACTIONS: dict[str, tuple[Callable[[World], Any], Callable[[World, Any], Any]]] = {
    "a new member": (lambda here: None, lambda here, _: member(here, "new", Role.VIEWER)),
    "a member by command": (lambda here: None, lambda here, _: member(here, "bob", Role.REVIEWER)),
    "a changed role": (
        lambda here: place(here, "bob"),
        lambda here, bob: members.change_role(bob, Role.REVIEWER, acting_as=COMMAND),
    ),
    "a deactivation": (
        lambda here: place(here, "bob"),
        lambda here, bob: members.deactivate(bob, acting_as=COMMAND),
    ),
    "a reactivation": (
        lambda here: members.deactivate(place(here, "bob"), acting_as=COMMAND),
        lambda here, bob: members.reactivate(bob, acting_as=COMMAND),
    ),
    "a removal": (lambda here: place(here, "bob"), lambda here, bob: members.remove(bob, acting_as=COMMAND)),
    "a service": (lambda here: None, lambda here, _: service(here)),
    "a new team": (lambda here: None, lambda here, _: put_team(here, "new", "bob")),
    "a changed team": (lambda here: None, lambda here, _: put_team(here, "desk", "rita")),
    "a renamed team": (lambda here: None, lambda here, _: put_team(here, "desk", "bob", rename_to="front")),
    "a deleted team": (lambda here: None, lambda here, _: delete_team(here)),
    "a key": (
        lambda here: None,
        lambda here, _: api_keys.create(
            tenant=tenants.by_id(here.tenant_id),
            name="new",
            scopes=["runs:read"],
            member_email=email(here, "bob"),
            acting_as=COMMAND,
        ),
    ),
    "a successor": (key, lambda here, old: api_keys.rotate(old, overlap=timedelta(), acting_as=COMMAND)),
    "a revocation": (key, lambda here, old: api_keys.revoke(old, acting_as=COMMAND)),
    "an invitation": (lambda here: None, lambda here, _: invitation(here)),
    "an invitation in another's place": (invitation, lambda here, _: invitation(here)),
    "a withdrawal": (invitation, lambda here, made: invitations.revoke(made[0], acting_as=COMMAND)),
    "an acceptance": (
        lambda here: (invitation(here)[1], User.objects.create_user(email(here, "ina")).id),
        lambda here, made: invitations.accept(made[0], user_id=made[1]),
    ),
    "an access": (lambda here: None, lambda here, _: opened(here)),
    "a closed access": (
        opened,
        lambda here, _: staff.close_access(tenants.by_id(here.tenant_id), email=email(here, "sam"), acting_as=COMMAND),
    ),
}

#: What is told in the platform's own journal.
OF_THE_PLATFORM: dict[str, Callable[[World], Any]] = {
    "new staff": lambda here: staff.add(email=email(here, "kim"), acting_as=COMMAND),
    "staff with a password": lambda here: staff.add(
        email=email(here, "sam"), password="correct horse battery staple", acting_as=COMMAND
    ),
    "staff who leave": lambda here: staff.remove(email=email(here, "sam"), acting_as=COMMAND),
}


@pytest.fixture
def here() -> World:
    made = world()
    put_team(made, "desk", "bob")
    api_keys.create(
        tenant=tenants.by_id(made.tenant_id),
        name="old",
        scopes=["runs:read"],
        member_email=email(made, "bob"),
        acting_as=COMMAND,
    )
    add_factor(staff.add(email=email(made, "sam"), acting_as=COMMAND))
    return made


def contents(here: World) -> dict[str, set[str]]:
    with tenant_scope(here.tenant_id), connection.cursor() as cursor:
        found = {}
        for table in TABLES:
            cursor.execute(f"SELECT t::text FROM {table} t WHERE tenant_id = %s", [here.tenant_id])  # noqa: S608
            found[table] = {row[0] for row in cursor.fetchall()}
        for table in SHARED:
            cursor.execute(f"SELECT t::text FROM {table} t")  # noqa: S608
            found[table] = {row[0] for row in cursor.fetchall()}
        return found


def fail(*args: Any, **more: Any) -> None:
    raise RuntimeError("the journal is not to be had")


@pytest.mark.parametrize("name", ACTIONS)
def test_an_action_writes_exactly_one_record(here: World, name: str) -> None:
    prepare, act = ACTIONS[name]
    with_it = prepare(here)
    before = contents(here)["audit_record"]

    act(here, with_it)

    assert len(contents(here)["audit_record"] - before) == 1


@pytest.mark.parametrize("name", ACTIONS)
def test_a_failing_record_takes_the_change_back(here: World, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare, act = ACTIONS[name]
    with_it = prepare(here)
    before = contents(here)

    with monkeypatch.context() as patched:
        patched.setattr(journal, "record", fail)
        with pytest.raises(RuntimeError, match="not to be had"):
            act(here, with_it)

    assert contents(here) == before


def of_the_platform() -> int:
    with tenant_scope(PLATFORM):
        return Record.objects.filter(action__startswith="staff.").count()


@pytest.mark.parametrize("name", OF_THE_PLATFORM)
def test_what_concerns_the_platform_is_one_record_there(here: World, name: str) -> None:
    before = of_the_platform()

    OF_THE_PLATFORM[name](here)

    assert of_the_platform() == before + 1


@pytest.mark.parametrize("name", OF_THE_PLATFORM)
def test_what_the_platform_cannot_record_does_not_happen(
    here: World, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(here)

    with monkeypatch.context() as patched:
        patched.setattr(journal, "record", fail)
        with pytest.raises(RuntimeError, match="not to be had"):
            OF_THE_PLATFORM[name](here)

    assert contents(here) == before

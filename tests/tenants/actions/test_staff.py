"""Platform staff: they look into a tenant that was opened for them, change nothing, and are seen."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from allauth.mfa.models import Authenticator
from django.db import connection
from django.utils import timezone

from access import permissions
from access.errors import AccessDenied
from audit.models import Payload, Record
from db.scope import PLATFORM, tenant_scope
from tenants.actions import members, staff, tenants
from tenants.errors import (
    AccessNotOpen,
    AccessOpen,
    BadAccess,
    BadEmail,
    BadPassword,
    NoSecondFactor,
    TenantError,
    UnknownStaff,
)
from tenants.models import Role, StaffAccess, Tenant, User
from tenants.principal import COMMAND, Principal
from tenants.scopes import SCOPES
from tests.worlds import World, add_factor, world

pytestmark = pytest.mark.usefixtures("database")

GOOD = "correct horse battery staple"
REASON = "Ticket 4711: a run does not end."
READS = {"runs:read", "agents:read", "tools:read", "escalations:read", "usage:read", "audit:read", "people:read"}


@pytest.fixture
def here() -> World:
    return world()


@pytest.fixture
def sam(here: World) -> User:
    return add_factor(staff.add(email=f"sam@staff-{here.slug}.example", password=GOOD, acting_as=COMMAND))


def tenant(here: World) -> Tenant:
    return tenants.by_id(here.tenant_id)


def open_access(here: World, sam: User, hours: int = 1, reason: str = REASON) -> StaffAccess:
    return staff.open_access(tenant(here), email=sam.email, reason=reason, hours=hours, acting_as=COMMAND)


def principal(here: World, sam: User) -> Principal | None:
    return members.principal(tenant_id=here.tenant_id, user_id=sam.id)


def test_staff_are_nobody_in_a_tenant_until_it_is_opened(here: World, sam: User) -> None:
    assert principal(here, sam) is None
    assert members.tenants_of(sam.id) == []

    access = open_access(here, sam)

    assert members.tenants_of(sam.id) == [(here.tenant_id, here.slug)]
    looking = principal(here, sam)
    assert looking is not None
    assert (looking.staff_access_id, looking.is_service) == (access.id, False)
    assert principal(world(), sam) is None


def test_staff_read_and_do_nothing_else(here: World, sam: User) -> None:
    open_access(here, sam)
    looking = principal(here, sam)
    assert looking is not None

    assert {scope for scope in SCOPES if permissions.can(looking, scope)} == READS
    assert permissions.sees_payloads(looking)
    for scope in set(SCOPES) - READS:
        with pytest.raises(AccessDenied, match="Platform staff look"):
            permissions.check(looking, scope)


def test_a_superuser_is_nobody_without_an_open_access(here: World) -> None:
    root = add_factor(User.objects.create_superuser(f"root@{here.slug}.example", GOOD))

    assert principal(here, root) is None
    open_access(here, root)
    looking = principal(here, root)
    assert looking is not None
    assert not permissions.can(looking, "admin")
    assert not permissions.can(looking, "runs:write")


@pytest.mark.parametrize("end", ["closed", "expired", "no staff any more", "inactive"])
def test_an_access_that_has_ended_opens_nothing(here: World, sam: User, end: str) -> None:
    access = open_access(here, sam)
    if end == "closed":
        staff.close_access(tenant(here), email=sam.email, acting_as=COMMAND)
    elif end == "expired":
        with tenant_scope(here.tenant_id):
            StaffAccess.objects.filter(id=access.id).update(expires_at=timezone.now())
    elif end == "inactive":
        User.objects.filter(id=sam.id).update(is_active=False)
    else:
        staff.remove(email=sam.email, acting_as=COMMAND)

    assert principal(here, sam) is None
    if end != "inactive":
        assert members.tenants_of(sam.id) == []


@pytest.mark.parametrize("hours", [-1, 0, 5, 100])
def test_an_access_lasts_four_hours_at_most(here: World, sam: User, hours: int) -> None:
    with pytest.raises(BadAccess):
        open_access(here, sam, hours=hours)
    longest = open_access(here, sam, hours=4)
    assert longest.expires_at - longest.opened_at == timedelta(hours=4)


@pytest.mark.parametrize("reason", ["", "  \n ", "because", "x" * 2001])
def test_an_access_has_a_reason(here: World, sam: User, reason: str) -> None:
    with pytest.raises(BadAccess):
        open_access(here, sam, reason=reason)


def test_who_is_no_staff_is_told_before_what_is_asked_of_staff(here: World) -> None:
    nobody = User(email="nobody@nowhere.example")
    with pytest.raises(UnknownStaff):
        open_access(here, nobody, reason="x", hours=9)


def test_only_staff_get_access_and_members_do_not(here: World, sam: User) -> None:
    bob = User.objects.get(id=here.bob.user_id)
    with pytest.raises(UnknownStaff):
        open_access(here, bob)

    staff.add(email=bob.email, acting_as=COMMAND)
    with pytest.raises(BadAccess, match="as such"):
        open_access(here, bob)
    looking = principal(here, bob)
    assert looking is not None
    assert (looking.role, looking.staff_access_id) == (Role.VIEWER, None)


@pytest.mark.parametrize("kind", [None, "recovery_codes"])
def test_staff_without_a_second_factor_get_none(here: World, kind: str | None) -> None:
    kim = staff.add(email=f"kim@staff-{here.slug}.example", password=GOOD, acting_as=COMMAND)
    if kind is not None:
        Authenticator.objects.create(user=kim, type=kind, data={})

    with pytest.raises(NoSecondFactor, match="add one first"):
        open_access(here, kim)

    with tenant_scope(here.tenant_id):
        assert not StaffAccess.objects.exists()
        assert not Record.objects.filter(action="staff.opened").exists()


def test_who_became_a_member_is_one(here: World, sam: User) -> None:
    open_access(here, sam)
    members.put(tenant=tenant(here), email=sam.email, role=Role.OPERATOR, acting_as=COMMAND)

    looking = principal(here, sam)
    assert looking is not None
    assert (looking.role, looking.scopes, looking.staff_access_id) == (Role.OPERATOR, None, None)


def test_opening_and_closing_are_told_in_the_tenants_journal(here: World, sam: User) -> None:
    access = open_access(here, sam, hours=2)
    staff.close_access(tenant(here), email=sam.email, acting_as=COMMAND)

    with tenant_scope(here.tenant_id):
        opened, closed = Record.objects.filter(stream=access.id).order_by("id")
        payload = json.loads(Payload.objects.get(record_id=access.record_id).value)
    assert (opened.action, closed.action) == ("staff.opened", "staff.closed")
    assert opened.subject == closed.subject == f"user:{sam.id}"
    assert opened.facts == {"hours": 2, "expires_at": access.expires_at.isoformat()}
    assert payload == {"reason": REASON}
    assert REASON not in json.dumps(opened.facts)


def test_an_access_is_opened_once_at_a_time(here: World, sam: User) -> None:
    def attempt(_: int) -> str:
        try:
            open_access(here, sam)
        except TenantError as error:
            return error.code
        finally:
            connection.close()
        return "done"

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(attempt, range(4))) == [*["access_open"] * 3, "done"]
    with pytest.raises(AccessOpen):
        open_access(here, sam)
    staff.close_access(tenant(here), email=sam.email, acting_as=COMMAND)
    with pytest.raises(AccessNotOpen):
        staff.close_access(tenant(here), email=sam.email, acting_as=COMMAND)
    assert open_access(here, sam).closed_at is None


def test_after_one_that_ran_out_another_may_be_opened(here: World, sam: User) -> None:
    first = open_access(here, sam)
    with tenant_scope(here.tenant_id):
        ended = timezone.now()
        StaffAccess.objects.filter(id=first.id).update(expires_at=ended)
    second = open_access(here, sam)

    looking = principal(here, sam)
    assert looking is not None
    assert looking.staff_access_id == second.id
    with tenant_scope(here.tenant_id):
        assert StaffAccess.objects.get(id=first.id).closed_at == ended


def test_each_look_is_one_record_and_nobody_elses_request_is(here: World, sam: User) -> None:
    access = open_access(here, sam)
    looking = principal(here, sam)
    assert looking is not None
    for who in (looking, here.alice):
        staff.looked(who, route="console:runs", method="GET", path=f"/{here.slug}/runs/?agent=x")

    with tenant_scope(here.tenant_id):
        [record] = Record.objects.filter(action="staff.looked")
        payload = json.loads(Payload.objects.get(record_id=record.id).value)
    assert (record.stream, record.actor) == (access.id, f"user:{sam.id}")
    assert record.facts == {"route": "console:runs", "method": "GET"}
    assert payload == {"path": f"/{here.slug}/runs/?agent=x"}


def test_staff_come_and_go_in_the_platforms_journal(here: World) -> None:
    email = f"kim@staff-{here.slug}.example"
    kim = add_factor(staff.add(email=email, acting_as=COMMAND))
    staff.add(email=email, acting_as=COMMAND)
    staff.add(email=email, password=GOOD, acting_as=COMMAND)
    open_access(here, kim)
    staff.remove(email=email, acting_as=COMMAND)

    assert User.objects.get(id=kim.id).check_password(GOOD)
    assert not User.objects.get(id=kim.id).is_staff
    with tenant_scope(PLATFORM):
        records = Record.objects.filter(stream=kim.id, action__startswith="staff.").order_by("id")
        told = [(record.action, record.facts) for record in records]
    assert told == [
        ("staff.added", {"password_set": False}),
        ("staff.changed", {"password_set": True}),
        ("staff.removed", {}),
    ]
    with tenant_scope(here.tenant_id):
        assert Record.objects.filter(action="staff.closed").count() == 1
    with pytest.raises(UnknownStaff):
        staff.remove(email=email, acting_as=COMMAND)


def test_staff_are_people_with_good_passwords(here: World) -> None:
    with pytest.raises(BadEmail):
        staff.add(email="nobody", acting_as=COMMAND)
    with pytest.raises(BadPassword):
        staff.add(email=f"kim@{here.slug}.example", password="short", acting_as=COMMAND)
    assert not User.objects.filter(email=f"kim@{here.slug}.example").exists()

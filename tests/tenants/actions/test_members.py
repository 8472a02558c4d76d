"""Adding members, changing them, finding them; and what of it is recorded."""

import threading
from typing import Any

import pytest
from django.db import connection

from audit.models import Record
from db.scope import tenant_scope
from tenants.actions import members, tenants
from tenants.errors import BadEmail, BadPassword, UnknownMember
from tenants.models import Membership, Role, Tenant, User
from tenants.principal import COMMAND
from tests.worlds import World, world

pytestmark = pytest.mark.usefixtures("database")

GOOD = "correct horse battery staple"


@pytest.fixture
def here() -> World:
    return world()


def put(here: World, email: str, role: Role = Role.VIEWER, password: str | None = None) -> Membership:
    return members.put(
        tenant=tenants.by_id(here.tenant_id), email=email, role=role, password=password, acting_as=COMMAND
    )


def records(here: World, membership: Membership) -> list[tuple[str, dict[str, Any]]]:
    with tenant_scope(here.tenant_id):
        return list(Record.objects.filter(stream=membership.id).order_by("id").values_list("action", "facts"))


def test_a_new_person_gets_an_account_without_a_usable_password(here: World) -> None:
    membership = put(here, f"new@{here.slug}.example")

    user = User.objects.get(id=membership.user_id)
    assert (user.email, user.is_active, user.is_service) == (f"new@{here.slug}.example", True, False)
    assert not user.has_usable_password()
    assert not user.check_password("")
    assert records(here, membership) == [("member.added", {"role": "viewer", "before": None, "password_set": False})]


def test_case_and_blanks_around_an_address_do_not_matter(here: World) -> None:
    first = put(here, f"  New.Person@{here.slug.upper()}.Example \n")
    second = put(here, f"new.person@{here.slug}.example", Role.OWNER)

    assert first.user_id == second.user_id
    with tenant_scope(here.tenant_id):
        assert members.by_email(f" NEW.person@{here.slug}.example").id == first.user_id


def test_a_person_in_two_tenants_is_one_person_with_two_roles(here: World) -> None:
    there, email = world(), f"both@{here.slug}.example"
    one, two = put(here, email, Role.VIEWER), put(there, email, Role.OWNER)

    assert one.user_id == two.user_id
    assert dict(members.tenants_of(one.user_id)) == {here.tenant_id: here.slug, there.tenant_id: there.slug}
    mine = members.principal(tenant_id=here.tenant_id, user_id=one.user_id)
    theirs = members.principal(tenant_id=there.tenant_id, user_id=one.user_id)
    assert mine is not None
    assert theirs is not None
    assert (mine.role, theirs.role) == (Role.VIEWER, Role.OWNER)


@pytest.mark.parametrize(
    "email",
    [
        "",
        " ",
        "nobody",
        "a@",
        "@b.example",
        "a b@c.example",
        "a@b@c.example",
        "a@b",
        "a@.example",
        "ä@b.example",
        "a\x00@b.example",
        "a@b.example\nBcc: c@d.example",
        "x" * 300 + "@b.example",
        "Ada <ada@b.example>",
    ],
    ids=ascii,
)
def test_what_is_no_address_is_refused(here: World, email: str) -> None:
    before = User.objects.count()

    with pytest.raises(BadEmail, match="not an e-mail address"):
        put(here, email)

    assert User.objects.count() == before


def test_a_services_account_is_not_made_a_person(here: World) -> None:
    with tenant_scope(here.tenant_id):
        service = members.put_service(name="robot", role=Role.OPERATOR, acting_as=COMMAND)

    for email in (service.email, service.email.upper(), "made.up@accounts.service"):
        with pytest.raises(BadEmail, match="account of a service"):
            put(world(), email, Role.OWNER, GOOD)
    assert not User.objects.get(id=service.id).has_usable_password()


def test_a_changed_role_is_recorded_with_the_one_before(here: World) -> None:
    membership = put(here, f"new@{here.slug}.example")
    put(here, f"new@{here.slug}.example", Role.OWNER)

    assert records(here, membership)[1:] == [
        ("member.changed", {"role": "owner", "before": "viewer", "password_set": False})
    ]
    found = members.principal(tenant_id=here.tenant_id, user_id=membership.user_id)
    assert found is not None
    assert found.role == Role.OWNER


def test_what_changes_nothing_leaves_no_record(here: World) -> None:
    membership = put(here, f"new@{here.slug}.example", password=GOOD)
    again = put(here, f"new@{here.slug}.example")

    assert again.id == membership.id
    assert len(records(here, membership)) == 1
    assert User.objects.get(id=membership.user_id).check_password(GOOD)


def test_a_new_password_is_recorded_but_not_what_it_is(here: World) -> None:
    membership = put(here, f"new@{here.slug}.example")
    put(here, f"new@{here.slug}.example", password=GOOD)

    user = User.objects.get(id=membership.user_id)
    assert user.check_password(GOOD)
    assert user.password.startswith("argon2")
    assert records(here, membership)[1:] == [
        ("member.changed", {"role": "viewer", "before": "viewer", "password_set": True})
    ]


@pytest.mark.parametrize(
    ("password", "reason"),
    [("", "too short"), ("short", "too short"), ("password1234", "too common"), ("someone.with@", "similar to the")],
)
def test_a_password_that_is_easy_to_guess_is_refused_and_nothing_changes(
    here: World, password: str, reason: str
) -> None:
    email = f"someone.with@{here.slug}.example"

    with pytest.raises(BadPassword, match=reason):
        put(here, email, password=password)

    assert not User.objects.filter(email=email).exists()


def test_many_who_add_a_new_person_at_once_add_one(here: World) -> None:
    tenants_of_all = [tenants.by_id(world().tenant_id) for _ in range(3)] * 2
    made: list[Any] = []
    barrier = threading.Barrier(len(tenants_of_all))

    def add(tenant: Tenant) -> None:
        try:
            barrier.wait()
            email = f"new@{here.slug}.example"
            made.append(members.put(tenant=tenant, email=email, role=Role.VIEWER, acting_as=COMMAND).user_id)
        except Exception as error:
            made.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=add, args=[tenant]) for tenant in tenants_of_all]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(made) == 6
    assert set(made) == {User.objects.get(email=f"new@{here.slug}.example").id}


def test_a_stranger_is_no_member(here: World) -> None:
    there = world()
    with tenant_scope(here.tenant_id), pytest.raises(UnknownMember, match="not a member"):
        members.by_email(f"bob@{there.slug}.example")
    assert members.principal(tenant_id=here.tenant_id, user_id=there.bob.user_id) is None


def test_an_inactive_or_removed_member_is_nobody(here: World) -> None:
    User.objects.filter(id=here.bob.user_id).update(is_active=False)
    with tenant_scope(here.tenant_id):
        Membership.objects.filter(user_id=here.rita.user_id).delete()

    assert members.principal(tenant_id=here.tenant_id, user_id=here.bob.user_id) is None
    assert members.principal(tenant_id=here.tenant_id, user_id=here.rita.user_id) is None
    assert members.tenants_of(here.rita.user_id) == []

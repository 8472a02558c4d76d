"""The tenant scope: the one door, on both its sides (the ORM's and PostgreSQL's)."""

import asyncio
import contextvars
import threading
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any
from uuid import UUID

import psycopg
import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.db import DatabaseError, connection, transaction

from db.errors import OutsideTenantScope
from db.models import new_id
from db.pool import transaction_connection
from db.roles import dispatch
from db.scope import PLATFORM, current_tenant_id, tenant_scope
from tenants.models import Membership, Role, Team, User
from tests.worlds import World, world

UNSET = (None, "")


@pytest.fixture
def acme(database: None) -> World:
    """A fresh tenant."""
    return world()


@pytest.fixture
def other(database: None) -> World:
    """Another fresh tenant."""
    return world()


def setting() -> str | None:
    """Return what PostgreSQL takes for the tenant now."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('app.tenant', true)")
        value: str | None = cursor.fetchone()[0]
    return value


def in_thread(work: Callable[[], Any]) -> Any:
    """Run in a new thread, in a copy of this context; close the thread's connection."""

    def run() -> Any:
        try:
            return work()
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(contextvars.copy_context().run, run).result()


# --- outside ------------------------------------------------------------------------------------------------------

OUTSIDE: dict[str, Callable[[], Any]] = {
    "all": lambda: list(Team.objects.all()),
    "get": lambda: Team.objects.get(id=new_id()),
    "filter": lambda: Team.objects.filter(slug="x").exists(),
    "count": lambda: Team.objects.count(),
    "aggregate": lambda: Team.objects.aggregate(),
    "none of its own": lambda: Team._base_manager.all(),
    "default manager": lambda: Team._default_manager.all(),
    "raw": lambda: list(Team.objects.raw("SELECT * FROM tenants_team")),
    "make": lambda: Team(slug="x"),
    "create": lambda: Team.objects.create(slug="x"),
    "get or create": lambda: Team.objects.get_or_create(slug="x"),
    "update": lambda: Team.objects.update(name="x"),
    "update or create": lambda: Team.objects.update_or_create(slug="x"),
    "delete": lambda: Team.objects.all().delete(),
    "bulk create": lambda: Team.objects.bulk_create([]),
    "bulk update": lambda: Team.objects.bulk_update([], ["name"]),
    "lock": lambda: Team.objects.select_for_update().first(),
    "iterate": lambda: list(Team.objects.iterator()),
    "in a transaction": transaction.atomic(lambda: Team.objects.first()),
}


@pytest.mark.parametrize("use", OUTSIDE.values(), ids=OUTSIDE)
def test_outside_every_manager_raises(database: None, use: Callable[[], Any]) -> None:
    with pytest.raises(OutsideTenantScope):
        use()


def test_outside_an_object_is_neither_saved_nor_deleted_nor_refreshed(acme: World) -> None:
    with tenant_scope(acme.tenant_id):
        membership = Membership.objects.get(user_id=acme.bob.user_id)
    for use in (membership.save, membership.delete, membership.refresh_from_db):
        with pytest.raises(OutsideTenantScope):
            use()


def test_outside_what_hangs_on_an_object_is_not_read(acme: World) -> None:
    user = User.objects.get(id=acme.bob.user_id)

    with pytest.raises(OutsideTenantScope):
        list(user.memberships.all())


def test_a_query_made_inside_and_run_outside_fails(acme: World) -> None:
    with tenant_scope(acme.tenant_id):
        query = Membership.objects.all()

    with pytest.raises(DatabaseError, match=r"app\.tenant|invalid input syntax for type uuid"):
        list(query)


def tenant_tables() -> list[str]:
    """Return every table with row-level security that the runtime role may read."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname FROM pg_class WHERE relrowsecurity AND relnamespace = 'public'::regnamespace "
            "AND has_table_privilege(oid, 'SELECT')"
        )
        return [name for (name,) in cursor.fetchall()]


@pytest.mark.parametrize("scoped_before", [False, True])
def test_raw_sql_outside_fails_on_every_tenant_table_and_is_never_empty(acme: World, scoped_before: bool) -> None:
    """On a new connection, where the setting was never made, and on one where it was and ended."""
    names = tenant_tables()
    connection.close()
    with transaction_connection() as raw:
        if scoped_before:
            with raw.transaction():
                raw.execute("SELECT set_config('app.tenant', %s, true)", [str(acme.tenant_id)])
        else:
            raw.execute("DISCARD ALL")
        assert len(names) > 15
        for name in names:
            for statement in ("SELECT * FROM {}", "SELECT count(*) FROM {}", "SELECT FROM {} WHERE tenant_id = %s"):
                with pytest.raises(psycopg.Error, match=r"app\.tenant|type uuid"):
                    raw.execute(statement.format(name), [acme.tenant_id] if "%s" in statement else None)
        raw.close()  # what was prepared on it is gone, and nobody knows


# --- inside -------------------------------------------------------------------------------------------------------


def test_inside_only_the_tenants_rows_are_there(acme: World, other: World) -> None:
    with tenant_scope(acme.tenant_id):
        assert current_tenant_id() == acme.tenant_id
        assert setting() == str(acme.tenant_id)
        assert set(Membership.objects.values_list("tenant_id", flat=True)) == {acme.tenant_id}
        with connection.cursor() as cursor:
            cursor.execute("SELECT DISTINCT tenant_id FROM tenants_membership")
            assert cursor.fetchall() == [(acme.tenant_id,)]
    with pytest.raises(OutsideTenantScope):
        current_tenant_id()


def test_nested_scopes_restore_both_sides(acme: World, other: World) -> None:
    with tenant_scope(acme.tenant_id):
        with tenant_scope(other.tenant_id):
            with tenant_scope(PLATFORM):
                assert (current_tenant_id(), setting()) == (PLATFORM, str(PLATFORM))
            assert (current_tenant_id(), setting()) == (other.tenant_id, str(other.tenant_id))
        assert (current_tenant_id(), setting()) == (acme.tenant_id, str(acme.tenant_id))
    assert setting() in UNSET


class Stop(Exception):
    """Ends a scope."""


def leave_with_error(tenant_id: UUID, statement: str | None = None) -> None:
    """Open a scope and leave it by an error, of ours or of the database."""
    with tenant_scope(tenant_id), connection.cursor() as cursor:
        if statement is not None:
            cursor.execute(statement)
        raise Stop


@pytest.mark.parametrize("statement", [None, "SELECT 1/0", "SELECT set_config('app.tenant', 'x', true)"])
def test_an_error_restores_both_sides_and_the_outer_scope_goes_on(
    acme: World, other: World, statement: str | None
) -> None:
    with pytest.raises((Stop, DatabaseError)):
        leave_with_error(acme.tenant_id, statement)
    with pytest.raises(OutsideTenantScope):
        current_tenant_id()
    assert setting() in UNSET

    with tenant_scope(acme.tenant_id):
        with pytest.raises((Stop, DatabaseError)):
            leave_with_error(other.tenant_id, statement)
        assert (current_tenant_id(), setting()) == (acme.tenant_id, str(acme.tenant_id))
        assert Membership.objects.count() == 3


def test_a_savepoint_rolled_back_leaves_the_scope_in_force(acme: World) -> None:
    with tenant_scope(acme.tenant_id):
        point = transaction.savepoint()
        Membership.objects.filter(user_id=acme.bob.user_id).delete()
        transaction.savepoint_rollback(point)

        assert (current_tenant_id(), setting()) == (acme.tenant_id, str(acme.tenant_id))
        assert Membership.objects.count() == 3


def test_what_an_inner_scope_did_is_rolled_back_with_it_alone(acme: World, other: World) -> None:
    def change_and_fail() -> None:
        with tenant_scope(other.tenant_id):
            Membership.objects.all().delete()
            raise Stop

    with tenant_scope(acme.tenant_id):
        Membership.objects.filter(user_id=acme.bob.user_id).delete()
        with pytest.raises(Stop):
            change_and_fail()

    with tenant_scope(other.tenant_id):
        assert Membership.objects.count() == 3
    with tenant_scope(acme.tenant_id):
        assert Membership.objects.count() == 2


def test_on_commit_hooks_run_outside(acme: World) -> None:
    seen: list[str | None] = []

    def hook() -> None:
        with pytest.raises(OutsideTenantScope):
            current_tenant_id()
        seen.append(setting())

    with tenant_scope(acme.tenant_id):
        transaction.on_commit(hook)

    assert len(seen) == 1
    assert seen[0] in UNSET


def test_a_connection_that_was_used_in_a_scope_comes_back_without_a_tenant(acme: World) -> None:
    """Psycopg's pool hands the same connections out again, to any thread and by both doors."""
    with tenant_scope(acme.tenant_id):
        Membership.objects.count()
    connection.close()

    with transaction_connection() as raw:
        row = raw.execute("SELECT current_setting('app.tenant', true), current_user").fetchone()
    assert row is not None
    assert row[0] in UNSET
    assert row[1] == "countersign_app"
    assert in_thread(setting) in UNSET


def test_dispatch_and_scope_do_not_mix(acme: World) -> None:
    with tenant_scope(acme.tenant_id), pytest.raises(RuntimeError, match="durable"), dispatch():
        pass
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_user")
        assert cursor.fetchone() == ("countersign_app",)


def test_dispatch_is_left_with_its_transaction_also_by_an_error(database: None) -> None:
    def fail() -> None:
        with dispatch():
            raise Stop

    with pytest.raises(Stop):
        fail()
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_user")
        assert cursor.fetchone() == ("countersign_app",)


# --- threads and contexts -----------------------------------------------------------------------------------------


def ask() -> str:
    """Say which tenant's rows are seen here, or what forbids it."""
    try:
        return str({str(each) for each in Membership.objects.values_list("tenant_id", flat=True)})
    except OutsideTenantScope:
        return "outside"


def ask_in_a_transaction() -> str:
    """The same inside a transaction that is nobody's scope."""
    with transaction.atomic():
        return ask()


@pytest.mark.parametrize("work", [ask, ask_in_a_transaction])
def test_a_thread_does_not_inherit_the_scope_with_the_context(acme: World, work: Callable[[], str]) -> None:
    with tenant_scope(acme.tenant_id):
        assert in_thread(work) == "outside"


@pytest.mark.parametrize("work", [ask, ask_in_a_transaction])
@pytest.mark.parametrize("thread_sensitive", [True, False])
def test_nor_does_a_thread_of_asgiref(acme: World, work: Callable[[], str], thread_sensitive: bool) -> None:
    def run() -> str:
        try:
            return work()
        finally:
            connection.close()

    async def main() -> str:
        return await sync_to_async(run, thread_sensitive=thread_sensitive)()

    def in_loop() -> str:
        with tenant_scope(acme.tenant_id):
            context = contextvars.copy_context()
            return ThreadPoolExecutor(1).submit(context.run, asyncio.run, main()).result()

    assert in_loop() == "outside"


def test_back_in_its_own_thread_by_way_of_async_code_the_scope_holds(acme: World) -> None:
    async def main() -> str:
        return await sync_to_async(ask)()

    with tenant_scope(acme.tenant_id):
        assert async_to_sync(main)() == str({str(acme.tenant_id)})


def test_a_copied_context_does_not_keep_the_scope_alive(acme: World) -> None:
    with tenant_scope(acme.tenant_id):
        context = contextvars.copy_context()

    assert context.run(ask_in_a_transaction) == "outside"


def test_a_scope_that_ended_is_not_restored_from_a_copied_context(acme: World, other: World) -> None:
    """What a thread meets whose number a former thread had, and whose context was copied there."""
    with tenant_scope(acme.tenant_id):
        context = contextvars.copy_context()

    def work() -> str | None:
        with transaction.atomic():
            with tenant_scope(other.tenant_id):
                Membership.objects.count()
            return setting()

    assert context.run(work) in UNSET


def test_threads_at_once_see_their_own_tenant_only(acme: World, other: World) -> None:
    worlds = [acme, other]
    barrier = threading.Barrier(8)

    def work(mine: World) -> bool:
        try:
            barrier.wait()
            for _ in range(20):
                with tenant_scope(mine.tenant_id):
                    if ask() != str({str(mine.tenant_id)}) or setting() != str(mine.tenant_id):
                        return False
            return True
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, worlds * 4))


def test_a_scope_opened_in_a_context_from_another_tenants_sees_its_own(acme: World, other: World) -> None:
    with tenant_scope(acme.tenant_id):
        context = contextvars.copy_context()
        with tenant_scope(other.tenant_id):
            assert context.run(seen_in, acme) == (str(acme.tenant_id), str({str(acme.tenant_id)}))


def test_a_scope_opened_after_a_savepoint_was_undone_beneath_another_one_sees_its_own(
    acme: World, other: World
) -> None:
    def hold() -> Generator[None]:
        with tenant_scope(acme.tenant_id):
            yield

    held, seen = hold(), []

    def entangle() -> None:
        with tenant_scope(other.tenant_id):
            with suppress(ZeroDivisionError), transaction.atomic():
                next(held)
                raise ZeroDivisionError
            seen.extend([setting(), seen_in(acme)])

    with pytest.raises(OutsideTenantScope):
        entangle()
    held.close()
    assert seen == [str(other.tenant_id), (str(acme.tenant_id), str({str(acme.tenant_id)}))]


def seen_in(mine: World) -> tuple[str | None, Any]:
    """Return whom PostgreSQL serves, and whose rows there are, in a scope of this tenant."""
    with tenant_scope(mine.tenant_id):
        return setting(), ask()


# --- objects ------------------------------------------------------------------------------------------------------


def test_an_object_of_one_tenant_is_neither_saved_nor_deleted_in_anothers_scope(acme: World, other: World) -> None:
    with tenant_scope(acme.tenant_id):
        made = Membership(user_id=new_user(), role=Role.VIEWER)
        kept = Membership.objects.get(user_id=acme.bob.user_id)

    with tenant_scope(other.tenant_id):
        for use in (made.save, kept.save, kept.delete):
            with pytest.raises(OutsideTenantScope, match="another tenant"):
                use()
    with pytest.raises(DatabaseError, match="row-level security"), tenant_scope(other.tenant_id):
        Membership.objects.bulk_create([made])
    with tenant_scope(acme.tenant_id):
        assert Membership.objects.count() == 3


def test_a_row_cannot_be_moved_to_another_tenant(acme: World, other: World) -> None:
    with pytest.raises(DatabaseError, match="row-level security"), tenant_scope(acme.tenant_id):
        Membership.objects.update(tenant_id=other.tenant_id)
    with tenant_scope(acme.tenant_id):
        membership = Membership.objects.get(user_id=acme.bob.user_id)
        membership.tenant_id = other.tenant_id
        with pytest.raises(OutsideTenantScope):
            membership.save()


def new_user() -> UUID:
    """Make a person without a tenant."""
    user: UUID = User.objects.create_user(f"{new_id()}@example.org").id
    return user

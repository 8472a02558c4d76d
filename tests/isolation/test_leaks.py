"""Whatever ends a scope, or carries on beside it: no connection, thread, task or generator is left in a tenant.

As the runtime role, in real transactions. Nesting, plain threads and copied contexts stand in `tests/db/test_scope.py`.
"""

import asyncio
import contextvars
import threading
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import psycopg
import pytest
from asgiref.sync import sync_to_async
from django.conf import settings
from django.core.exceptions import SynchronousOnlyOperation
from django.db import DatabaseError, connection, connections, transaction
from django.db.utils import InterfaceError, OperationalError
from django.http import StreamingHttpResponse
from django.test import AsyncRequestFactory

from db import pool
from db.errors import OutsideTenantScope
from db.pool import transaction_connection
from db.scope import current_tenant_id, tenant_scope
from tenants.models import Membership
from tests.worlds import World, world

UNSET = (None, "")


@pytest.fixture
def acme(database: None) -> World:
    """A fresh tenant."""
    return world()


@pytest.fixture
def other(database: None) -> World:
    """Another one."""
    return world()


def setting() -> str | None:
    """Return what PostgreSQL takes for the tenant on this thread's connection."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('app.tenant', true)")
        value: str | None = cursor.fetchone()[0]
    return value


def tenants_seen() -> set[UUID]:
    """Return whose rows are seen now; raises outside a scope."""
    return set(Membership.objects.values_list("tenant_id", flat=True))


def every_connection_is_clean() -> bool:
    """Say whether every connection of the pool, all lent at once, is nobody's, in the role that serves."""
    connection.close()
    size = settings.DATABASES["default"]["OPTIONS"]["pool"]["max_size"]
    lent, found = [], []
    try:
        for _ in range(min(size, 6)):
            context = transaction_connection()
            raw = context.__enter__()
            lent.append(context)
            found.append(raw.execute("SELECT current_setting('app.tenant', true), current_user").fetchone())
    finally:
        for context in lent:
            context.__exit__(None, None, None)
    return all(row is not None and row[0] in UNSET and row[1] == "countersign_app" for row in found)


# --- what ends a scope --------------------------------------------------------------------------------------------


def execute(statement: str) -> None:
    """Run a statement on this thread's connection."""
    with connection.cursor() as cursor:
        cursor.execute(statement)


def run_out_of_time() -> None:
    """Have the statement time out."""
    execute("SET LOCAL statement_timeout = '20ms'")
    execute("SELECT pg_sleep(10)")


def be_cancelled() -> None:
    """Have another session cancel the statement."""
    _by_another("pg_cancel_backend")


def be_killed() -> None:
    """Have another session end this one's process on the server."""
    _by_another("pg_terminate_backend")


def _by_another(function: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        [pid] = cursor.fetchone()

    def act() -> None:
        with transaction_connection() as raw:
            while raw.execute("SELECT wait_event FROM pg_stat_activity WHERE pid = %s", [pid]).fetchone() != (
                "PgSleep",
            ):
                pass
            raw.execute(f"SELECT {function}(%s)", [pid])

    thread = threading.Thread(target=act)
    thread.start()
    try:
        execute("SELECT pg_sleep(30)")
    finally:
        thread.join()


def lose_the_connection() -> None:
    """Close the socket under the connection."""
    assert connection.connection is not None
    connection.connection.close()
    execute("SELECT 1")


ENDS: dict[str, Callable[[], None]] = {
    "an error of the database": lambda: execute("SELECT 1/0"),
    "an unknown table": lambda: execute("SELECT * FROM nothing"),
    "a statement's time-out": run_out_of_time,
    "a cancelled statement": be_cancelled,
    "a killed backend": be_killed,
    "a lost connection": lose_the_connection,
    "a rollback by hand": lambda: execute("ROLLBACK; SELECT 1/0"),
    "a commit by hand": lambda: execute("COMMIT; SELECT 1/0"),
}


@pytest.mark.parametrize("nested", [False, True], ids=["alone", "inside another"])
@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_whatever_ends_a_scope_nothing_of_it_stays(
    acme: World, other: World, end: Callable[[], None], nested: bool
) -> None:
    def work() -> None:
        if nested:
            with tenant_scope(other.tenant_id), tenant_scope(acme.tenant_id):
                end()
        else:
            with tenant_scope(acme.tenant_id):
                end()

    with pytest.raises((DatabaseError, InterfaceError, OperationalError, transaction.TransactionManagementError)):
        work()
    with pytest.raises(OutsideTenantScope):
        current_tenant_id()
    assert every_connection_is_clean()
    with tenant_scope(other.tenant_id):
        assert tenants_seen() == {other.tenant_id}
        assert setting() == str(other.tenant_id)


def test_a_connection_given_back_in_the_middle_of_a_scope_is_rolled_back(acme: World) -> None:
    def work() -> None:
        with transaction_connection() as raw:
            raw.execute("BEGIN")
            raw.execute("SELECT set_config('app.tenant', %s, true)", [str(acme.tenant_id)])
            raw.execute("UPDATE tenants_membership SET role = 'viewer'")
            raise KeyError

    with pytest.raises(KeyError):
        work()

    assert every_connection_is_clean()
    with tenant_scope(acme.tenant_id):
        assert Membership.objects.filter(role="operator").exists()


def test_a_scope_closed_under_its_own_feet_is_no_scope(acme: World) -> None:
    """Closing the connection inside a scope ends the transaction that knew the tenant."""

    def work() -> None:
        with tenant_scope(acme.tenant_id):
            connection.connection.close()
            Membership.objects.count()

    with pytest.raises((DatabaseError, InterfaceError)):
        work()
    assert every_connection_is_clean()


# --- savepoints ---------------------------------------------------------------------------------------------------


def test_a_savepoint_gives_back_the_tenant_it_was_made_in(acme: World, other: World) -> None:
    with tenant_scope(acme.tenant_id):
        point = transaction.savepoint()
        with tenant_scope(other.tenant_id):
            assert tenants_seen() == {other.tenant_id}
        transaction.savepoint_rollback(point)
        assert (current_tenant_id(), setting()) == (acme.tenant_id, str(acme.tenant_id))
        assert tenants_seen() == {acme.tenant_id}


def test_a_savepoint_rolled_back_beneath_a_scope_shows_neither_tenant(acme: World, other: World) -> None:
    """The database is back in the outer tenant then, the managers are not: both must agree before a row is seen."""

    def work() -> None:
        with tenant_scope(acme.tenant_id):
            point = transaction.savepoint()
            with tenant_scope(other.tenant_id):
                transaction.savepoint_rollback(point)
                assert tenants_seen() == set()
                with pytest.raises(DatabaseError, match="row-level security"), transaction.atomic():
                    Membership.objects.create(user_id=other.bob.user_id, role="owner")

    with pytest.raises(DatabaseError):
        work()
    assert every_connection_is_clean()


# --- generators ---------------------------------------------------------------------------------------------------


def members_of(of: World) -> Generator[set[UUID], None, None]:
    """What nobody should write, and nobody does (`test_sources.py`): a scope held over a yield."""
    with tenant_scope(of.tenant_id):
        while True:
            yield tenants_seen()


def test_scopes_left_in_the_wrong_order_fail_loudly(acme: World, other: World) -> None:
    def work() -> None:
        first, second = tenant_scope(acme.tenant_id), tenant_scope(other.tenant_id)
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)

    with pytest.raises(OutsideTenantScope, match="entered later"):
        work()
    with pytest.raises(OutsideTenantScope):
        current_tenant_id()
    connections.close_all()
    assert every_connection_is_clean()


def test_generators_that_were_dropped_leave_no_scope(acme: World, other: World) -> None:
    mine, theirs = members_of(acme), members_of(other)
    assert next(mine) == {acme.tenant_id}
    assert next(theirs) == {other.tenant_id}
    mine.close()
    theirs.close()

    with pytest.raises(OutsideTenantScope):
        current_tenant_id()
    assert every_connection_is_clean()


# --- async --------------------------------------------------------------------------------------------------------


def test_a_scope_cannot_be_opened_in_async_code(acme: World) -> None:
    async def view() -> None:
        with tenant_scope(acme.tenant_id):
            raise AssertionError("it was opened")

    with pytest.raises(SynchronousOnlyOperation):
        asyncio.run(view())


def test_tasks_at_once_see_their_own_tenant_only(acme: World, other: World) -> None:
    """Each task's work runs in whichever thread is free, in a copy of the task's context."""

    def work(of: World) -> set[UUID]:
        try:
            with tenant_scope(of.tenant_id):
                first = tenants_seen()
                execute("SELECT pg_sleep(0.002)")
                return first | tenants_seen() | {current_tenant_id()}
        finally:
            connection.close()

    async def main() -> list[tuple[World, set[UUID]]]:
        async def one(of: World) -> tuple[World, set[UUID]]:
            return of, await sync_to_async(work, thread_sensitive=False)(of)

        return await asyncio.gather(*(one(of) for of in [acme, other] * 20))

    def run() -> list[tuple[World, set[UUID]]]:
        return asyncio.run(main())

    with ThreadPoolExecutor(1) as pool:
        for of, seen in pool.submit(run).result():
            assert seen == {of.tenant_id}
    assert every_connection_is_clean()


def test_a_task_made_inside_a_scope_is_outside_it(acme: World) -> None:
    """The task copies the context, scope and all; its thread has another connection, which knows no tenant."""

    def ask() -> str:
        try:
            with transaction.atomic():
                return str(tenants_seen())
        except OutsideTenantScope:
            return "outside"
        finally:
            connection.close()

    async def main() -> str:
        return await asyncio.create_task(sync_to_async(ask, thread_sensitive=False)())

    def in_a_scope() -> str:
        with tenant_scope(acme.tenant_id):
            context = contextvars.copy_context()
            with ThreadPoolExecutor(1) as pool:
                return pool.submit(context.run, asyncio.run, main()).result()

    assert in_a_scope() == "outside"


def test_a_response_that_streams_is_not_in_the_scope_of_its_view(acme: World) -> None:
    """The view is over when its body is read, by the server and in another thread."""

    def lines() -> Iterator[bytes]:
        try:
            yield str(tenants_seen()).encode()
        except OutsideTenantScope:
            yield b"outside"
        finally:
            connection.close()

    def view(request: object) -> StreamingHttpResponse:
        with tenant_scope(acme.tenant_id):
            return StreamingHttpResponse(lines())

    async def serve() -> bytes:
        response = await sync_to_async(view)(AsyncRequestFactory().get("/"))
        return b"".join([part async for part in sync_parts(response)])

    async def sync_parts(response: StreamingHttpResponse) -> AsyncIterator[bytes]:
        for part in await sync_to_async(lambda: list(response))():
            yield part

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(asyncio.run, serve()).result() == b"outside"
    assert b"".join(view(None)) == b"outside"


def test_a_killed_backend_costs_the_pool_one_connection_and_no_tenant_another(acme: World, other: World) -> None:
    """Others work on meanwhile."""

    def work(of: World) -> bool:
        try:
            for _ in range(20):
                with tenant_scope(of.tenant_id):
                    if tenants_seen() != {of.tenant_id}:
                        return False
            return True
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as threads:
        busy = [threads.submit(work, of) for of in [acme, other] * 2]
        with pytest.raises((DatabaseError, InterfaceError)), tenant_scope(acme.tenant_id):
            be_killed()
        assert all(each.result() for each in busy)
    assert every_connection_is_clean()


def test_a_pool_whose_server_ended_all_its_connections_is_clean_again(
    acme: World, superuser: "psycopg.Connection[tuple[object, ...]]"
) -> None:
    with tenant_scope(acme.tenant_id):
        tenants_seen()
    superuser.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND usename = 'countersign_app'"
    )
    connections.close_all()
    try:
        for _ in range(10):
            try:
                with tenant_scope(acme.tenant_id):
                    assert tenants_seen() == {acme.tenant_id}
            except (DatabaseError, InterfaceError):
                connection.close()  # what a request does at its end; the pool then throws the dead one away
    finally:
        pool.close()
    assert every_connection_is_clean()

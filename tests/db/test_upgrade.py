"""From the database of the last release to this one, with data in it."""

import secrets
from collections.abc import Iterator
from datetime import date
from uuid import UUID

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from audit.models import Payload, Record
from db import partitions
from db.embedded import Server
from db.errors import ForeignReference
from db.management.commands import migrate
from db.models import new_id
from db.references import wanted
from db.scope import tenant_scope
from tenants.models import Membership, Team, TeamMember
from tests import template_database
from tests.db import old_release

NAME = f"test_old_{secrets.token_hex(4)}"


@pytest.fixture(scope="module")
def old(embedded_server: Server, django_db_setup: None, django_db_blocker: object) -> Iterator[list[UUID]]:
    """The old database, made once; yields its tenants."""
    with (
        django_db_blocker.unblock(),  # type: ignore[attr-defined]
        psycopg.connect(embedded_server.dsn(database="postgres"), autocommit=True) as keeper,
    ):
        template_database.hold(keeper, NAME)
        with old_release.using(embedded_server, NAME) as owner:
            tenants = old_release.build(owner)
        yield tenants
        keeper.execute(f'DROP DATABASE "{NAME}" WITH (FORCE)'.encode())


@pytest.fixture
def copy(old: list[UUID], database: None, embedded_server: Server) -> Iterator[BaseDatabaseWrapper]:
    """A copy of it in place of the run's own database; yields the owner's connection."""
    with old_release.using(embedded_server, f"{NAME}_copy", like=NAME) as owner:
        yield owner


def counts(owner: BaseDatabaseWrapper) -> dict[str, int]:
    """Return how many rows each table with rows has, of all tenants."""
    with owner.cursor() as cursor:
        cursor.execute("SET app.migrating = 'on'")
        cursor.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' "
            "AND relname ~ '^(tenants|agents|escalations|quotas|vault)_'"
        )
        found = {}
        for (name,) in cursor.fetchall():
            cursor.execute(f"SELECT count(*) FROM {name}")  # noqa: S608 - names of our own
            found[name] = cursor.fetchone()[0]
    return {name: count for name, count in found.items() if count}


def test_the_old_database_is_brought_up_with_all_that_is_in_it(old: list[UUID], copy: BaseDatabaseWrapper) -> None:
    before = counts(copy)
    assert len(before) >= 20

    call_command("migrate", verbosity=0, interactive=False)

    assert counts(copy) == before
    with copy.cursor() as cursor:
        cursor.execute("SELECT conname FROM pg_constraint WHERE contype = 'f' AND convalidated")
        assert {key.name for key in wanted()} <= {name for (name,) in cursor.fetchall()}
    here, other = old
    with tenant_scope(other):
        theirs = Team.objects.get().id
    with tenant_scope(here):
        membership = Membership.objects.get()
        assert membership.is_active
        TeamMember.objects.all().delete()
    with pytest.raises(IntegrityError, match="tenants_teammember_team_id_of_tenant"), tenant_scope(here):
        TeamMember.objects.create(team_id=theirs, user_id=membership.user_id)


def test_the_old_journal_is_handed_over_as_it_was(old: list[UUID], copy: BaseDatabaseWrapper) -> None:
    call_command("migrate", verbosity=0, interactive=False)

    for tenant in old:
        with tenant_scope(tenant):
            record, payload = Record.objects.get(), Payload.objects.get()
        assert record.facts == {"deep": ["€", None, 2**53 - 1]}
        assert (payload.record_id, payload.value) == (record.id, '{"x":1}')
    with copy.cursor() as cursor:
        cursor.execute(
            "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND (relname ~ '^audit_') "
            "IS DISTINCT FROM (relowner = 'countersign_journal'::regrole) AND relnamespace = 'public'::regnamespace"
        )
        assert cursor.fetchall() == []
        for table in partitions.PARTITIONED:
            with pytest.raises(DatabaseError, match="permission denied"):
                cursor.execute(f"TRUNCATE {partitions.partition_name(table, date.today())}")
        cursor.execute("SELECT to_regclass(%s)", [f"{partitions.partition_name('audit_record', date.today())}_stream"])
        assert cursor.fetchone() != (None,)


def test_it_gives_way_when_a_table_is_in_use_for_long_and_goes_on_later(
    old: list[UUID], copy: BaseDatabaseWrapper, embedded_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrate, "LOCK_TIMEOUT", "200ms")
    database = embedded_server.dsn(database=copy.settings_dict["NAME"])
    with psycopg.connect(database) as reader:
        reader.execute("SELECT count(*) FROM agents_toolusergrant")

        with pytest.raises(CommandError, match="A table was in use"):
            call_command("migrate", verbosity=0, interactive=False)
    copy.close()

    call_command("migrate", verbosity=0, interactive=False)
    call_command("migrate", verbosity=0, check_unapplied=True)  # exits when one is left


def test_an_old_row_that_names_anothers_stops_the_migration_until_it_is_mended(
    old: list[UUID], copy: BaseDatabaseWrapper
) -> None:
    here, other = old
    with copy.cursor() as cursor, transaction.atomic(using="owner"):
        cursor.execute("SELECT set_config('app.tenant', %s, true)", [str(other)])
        cursor.execute("SELECT id FROM escalations_queue")
        [queue] = cursor.fetchone()
        cursor.execute("SELECT set_config('app.tenant', %s, true)", [str(here)])
        cursor.execute(
            "INSERT INTO escalations_queuemember (id, tenant_id, queue_id, user_id) "
            "SELECT %s, tenant_id, %s, user_id FROM tenants_membership RETURNING id",
            [new_id(), queue],
        )
        [stray] = cursor.fetchone()

    with pytest.raises(ForeignReference, match="A row of escalations_queuemember names by queue_id"):
        call_command("migrate", verbosity=0, interactive=False)
    with connection.cursor() as cursor:
        cursor.execute("SELECT has_table_privilege('tenants_team', 'SELECT')")
        assert cursor.fetchone() == (False,)  # nothing is granted by half

    with copy.cursor() as cursor:
        cursor.execute("SET app.migrating = 'on'")
        cursor.execute("DELETE FROM escalations_queuemember WHERE id = %s", [stray])
    call_command("migrate", verbosity=0, interactive=False)
    with tenant_scope(here):
        assert Team.objects.count() == 1

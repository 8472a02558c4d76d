"""Foreign keys of tenants' tables, generated over all there are: none reaches another tenant's row."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from django.db import IntegrityError, connection, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from access import grants
from agents.models import Agent, Tool
from db import references
from db.errors import ForeignReference
from db.models import new_id
from db.references import Key, wanted
from db.scope import tenant_scope
from db.tables import listed
from escalations.models import Queue
from tenants.models import Membership, Team
from tests.isolation.peopling import peopled
from tests.worlds import World

KEYS = wanted()

#: What a tenant's row may name of the platform as a whole: people, whom the journal and the members' own list name, the
#: words for permissions, and the group that a team owns alone.
OF_THE_PLATFORM = {
    ("agents_agentteamgrant", "permission_id", "auth_permission"),
    ("agents_agentusergrant", "permission_id", "auth_permission"),
    ("agents_run", "principal_id", "tenants_user"),
    ("agents_run", "requested_by_id", "tenants_user"),
    ("agents_toolteamgrant", "permission_id", "auth_permission"),
    ("agents_toolusergrant", "permission_id", "auth_permission"),
    ("escalations_opened", "user_id", "tenants_user"),
    ("escalations_vote", "user_id", "tenants_user"),
    ("tenants_apikey", "principal_id", "tenants_user"),
    ("tenants_invitation", "invited_by_id", "tenants_user"),
    ("tenants_membership", "user_id", "tenants_user"),
    ("tenants_staffaccess", "user_id", "tenants_user"),
    ("tenants_team", "group_id", "auth_group"),
}


def rows(of: BaseDatabaseWrapper, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
    """Return what the query finds."""
    with of.cursor() as cursor:
        cursor.execute(query, parameters)
        found: list[tuple[Any, ...]] = cursor.fetchall()
    return found


def run(of: BaseDatabaseWrapper, statement: str, *parameters: Any) -> int:
    """Run the statement; return how many rows it changed."""
    with of.cursor() as cursor:
        cursor.execute(statement, parameters)
        return int(cursor.rowcount)


FOREIGN_KEYS = """
SELECT k.conrelid::regclass::text, k.confrelid::regclass::text, k.convalidated, pg_get_constraintdef(k.oid), (
    SELECT array_agg(a.attname::text ORDER BY place) FROM unnest(k.conkey) WITH ORDINALITY AS at(number, place)
    JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = at.number)
FROM pg_constraint k WHERE k.contype = 'f' AND k.connamespace = 'public'::regnamespace
"""


def test_every_foreign_key_of_a_tenants_table_is_over_the_tenant_or_names_the_platform(
    owner_connection: BaseDatabaseWrapper,
) -> None:
    tenants = {table.name for table in listed().values() if table.tenant}
    simple = set()
    for table, to, valid, text, columns in rows(owner_connection, FOREIGN_KEYS):
        assert valid, text
        if table not in tenants:
            assert to not in tenants, text
        elif len(columns) == 1:
            simple.add((table, columns[0], to))
        else:
            assert columns[0] == "tenant_id", text
            assert f"REFERENCES {to}(tenant_id, " in text

    assert simple == OF_THE_PLATFORM
    assert len(KEYS) >= 18


@pytest.fixture(scope="module")
def worlds(django_db_setup: None, django_db_blocker: Any) -> tuple[World, World]:
    """Two tenants with something in every table; no number of a version or month of a window is in both."""
    with django_db_blocker.unblock():
        here, other = peopled(), peopled()
        with transaction.atomic(using="owner"):
            run(connections["owner"], "SELECT set_config('app.tenant', %s, true)", str(here.tenant_id))
            run(connections["owner"], "UPDATE agents_agentversion SET number = number + 7")
            run(connections["owner"], "UPDATE agents_toolversion SET number = number + 7")
            run(connections["owner"], "UPDATE quotas_window SET starts_on = starts_on + 70")
        return here, other


@pytest.mark.parametrize("key", KEYS, ids=[key.name for key in KEYS])
def test_no_row_names_what_is_anothers(
    worlds: tuple[World, World], owner_connection: BaseDatabaseWrapper, key: Key
) -> None:
    """As the owner, who may change what is append-only to everybody else: the keys hold for it too."""
    here, other = worlds
    theirs = value(owner_connection, other, key.to, key.to_column)
    foreign = refusal(owner_connection, here, key, theirs)

    assert key.name in foreign
    assert foreign == refusal(owner_connection, here, key, absent(theirs))


def value(of: BaseDatabaseWrapper, where: World, table: str, column: str) -> Any:
    """Return what a row of the tenant's table holds in that column."""
    with transaction.atomic(using=of.alias):
        run(of, "SELECT set_config('app.tenant', %s, true)", str(where.tenant_id))
        [found, *_] = rows(of, f"SELECT {column} FROM {table} WHERE {column} IS NOT NULL")  # noqa: S608
    return found[0]


def absent(like: Any) -> Any:
    """Return what nobody has."""
    return new_id() if isinstance(like, UUID) else 2_000_000_000


def refusal(of: BaseDatabaseWrapper, where: World, key: Key, value: Any) -> str:
    """Point a row of the tenant there; return what the database says when that is to be kept."""
    pointed = f"UPDATE {key.table} SET {key.column} = %s WHERE id = (SELECT id FROM {key.table} LIMIT 1)"  # noqa: S608
    try:
        with transaction.atomic(using=of.alias):
            run(of, "SELECT set_config('app.tenant', %s, true)", str(where.tenant_id))
            assert run(of, pointed, value) == 1
    except IntegrityError as error:
        return str(error)
    return "kept"


# --- what goes with a member, and with a team ---------------------------------------------------------------------


def test_nothing_that_a_member_was_given_outlives_the_membership(database: None) -> None:
    acme = peopled()
    with tenant_scope(acme.tenant_id), connection.cursor() as cursor:
        cursor.execute("DELETE FROM tenants_membership WHERE user_id = %s", [acme.bob.user_id])
    with tenant_scope(acme.tenant_id):
        held = [grant.holder for obj in (Agent.objects.get(), Tool.objects.get()) for grant in grants.of(obj)]
        assert held == [Team.objects.get()] * 2
        assert [place.user_id for place in Team.objects.get().members.all()] == [acme.rita.user_id]
        assert [place.user_id for place in Queue.objects.get().members.all()] == [acme.rita.user_id]


def test_nothing_that_a_team_was_given_outlives_the_team(database: None) -> None:
    acme = peopled()
    with tenant_scope(acme.tenant_id), connection.cursor() as cursor:
        cursor.execute("DELETE FROM escalations_queueteam")
        cursor.execute("DELETE FROM tenants_teammember")
        cursor.execute("DELETE FROM tenants_team")
    with tenant_scope(acme.tenant_id):
        held = {grant.holder for obj in (Agent.objects.get(), Tool.objects.get()) for grant in grants.of(obj)}
        assert {getattr(holder, "id", None) for holder in held} == {acme.bob.user_id}


# --- reconciling --------------------------------------------------------------------------------------------------

PLACE = next(key for key in KEYS if (key.table, key.column) == ("tenants_teammember", "team_id"))


@pytest.fixture
def scratch(owner_connection: BaseDatabaseWrapper) -> Iterator[BaseDatabaseWrapper]:
    """The owner's connection, which sees every tenant's rows; what the test breaks is mended afterwards."""
    run(owner_connection, "SET app.migrating = 'on'")
    yield owner_connection
    run(
        owner_connection,
        "DELETE FROM tenants_teammember m WHERE NOT EXISTS "
        "(SELECT FROM tenants_team t WHERE t.tenant_id = m.tenant_id AND t.id = m.team_id)",
    )
    references.reconcile_after_migrate("owner")


def shape(of: BaseDatabaseWrapper) -> list[tuple[Any, ...]]:
    """Return every foreign key there is."""
    return sorted(rows(of, FOREIGN_KEYS), key=str)


BREAKAGES = {
    "gone": f"ALTER TABLE tenants_teammember DROP CONSTRAINT {PLACE.name}",
    "simple again": "ALTER TABLE tenants_teammember ADD FOREIGN KEY (team_id) REFERENCES tenants_team (id)",
    "of another making": f"ALTER TABLE tenants_teammember DROP CONSTRAINT {PLACE.name}, ADD CONSTRAINT {PLACE.name} "
    "FOREIGN KEY (tenant_id, team_id) REFERENCES tenants_team (tenant_id, id) ON DELETE CASCADE",
    "twice": "ALTER TABLE tenants_teammember ADD FOREIGN KEY (tenant_id, team_id) "
    "REFERENCES tenants_team (tenant_id, id)",
    "not looked at": f"ALTER TABLE tenants_teammember DROP CONSTRAINT {PLACE.name}, ADD CONSTRAINT {PLACE.name} "
    "FOREIGN KEY (tenant_id, team_id) REFERENCES tenants_team (tenant_id, id) DEFERRABLE INITIALLY DEFERRED NOT VALID",
    "without an index": f"DROP INDEX {PLACE.index} CASCADE",
}


@pytest.mark.parametrize("breakage", BREAKAGES.values(), ids=BREAKAGES)
def test_what_differs_is_put_right(scratch: BaseDatabaseWrapper, breakage: str) -> None:
    before = shape(scratch)
    run(scratch, breakage)
    assert shape(scratch) != before

    references.reconcile_after_migrate("owner")

    assert shape(scratch) == before


def test_an_index_whose_making_was_interrupted_is_made_anew(scratch: BaseDatabaseWrapper, superuser: Any) -> None:
    before = shape(scratch)
    run(scratch, BREAKAGES["without an index"])
    run(scratch, f"CREATE UNIQUE INDEX {PLACE.index} ON {PLACE.to} (tenant_id, id)")
    superuser.execute("UPDATE pg_index SET indisvalid = false WHERE indexrelid = %s::regclass", [PLACE.index])

    references.reconcile_after_migrate("owner")

    assert shape(scratch) == before
    assert rows(scratch, "SELECT indisvalid FROM pg_index WHERE indexrelid = %s::regclass", PLACE.index) == [(True,)]


def test_an_old_row_that_names_anothers_is_told_and_new_ones_are_refused_already(scratch: BaseDatabaseWrapper) -> None:
    acme, other = peopled(), peopled()
    run(scratch, BREAKAGES["gone"])
    with tenant_scope(other.tenant_id):
        theirs = Team.objects.get()
    place(acme, theirs.id, acme.alice)

    with pytest.raises(ForeignReference, match="A row of tenants_teammember names by team_id what"):
        references.reconcile_after_migrate("owner")
    with pytest.raises(IntegrityError, match=PLACE.name):
        place(acme, theirs.id, acme.bob)


def place(where: World, team_id: UUID, who: Any) -> None:
    with tenant_scope(where.tenant_id):
        member = Membership.objects.get(user_id=who.user_id)
        run(
            connection,
            "INSERT INTO tenants_teammember (id, tenant_id, team_id, user_id) VALUES (%s, %s, %s, %s)",
            new_id(),
            where.tenant_id,
            team_id,
            member.user_id,
        )

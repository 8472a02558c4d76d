"""Two tenants never meet: by the ORM, by joins, by references, by guessing; over every table that has a tenant."""

from collections.abc import Callable
from datetime import date
from typing import Any
from uuid import UUID

import pytest
from django.apps import apps
from django.db import DatabaseError, IntegrityError, connection, models

from agents.actions import tools
from agents.models import Agent, Run, Tool
from audit.models import Payload, Record
from db.models import TenantModel, new_id
from db.scope import PLATFORM, tenant_scope
from db.tables import listed
from quotas import reservations
from tenants.models import ApiKey, Membership, Team, TeamMember
from tests.isolation.peopling import peopled
from tests.worlds import LOOKUP, World

pytestmark = pytest.mark.usefixtures("database")

TENANT_MODELS = [model for model in apps.get_models() if issubclass(model, TenantModel)]


@pytest.fixture
def acme() -> World:
    return peopled()


@pytest.fixture
def other() -> World:
    return peopled()


def test_every_table_of_tenants_has_a_model_whose_managers_know_the_scope() -> None:
    bound = {model._meta.db_table for model in TENANT_MODELS}
    by_sql = {
        "audit_outbox",
        "audit_outbox_aside",
        "audit_log",
        "audit_leaf",
        "audit_tile",
        "audit_checkpoint",
        "audit_cosignature",
        "checkpoints_standing",
        "audit_search_segment",
        "audit_search_page",
        "audit_search_stale",
        "audit_erased",
        "audit_expired",
    }

    assert bound == {table.name for table in listed().values() if table.tenant} - by_sql
    for model in TENANT_MODELS:
        with pytest.raises(Exception, match="outside `tenant_scope"):
            model._default_manager.all()
        with pytest.raises(Exception, match="outside `tenant_scope"):
            model._base_manager.all()


def rows(name: str) -> set[UUID]:
    """Return the tenants whose rows raw SQL sees in this table."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT DISTINCT tenant_id FROM {}".format(name))  # noqa: S608, UP032 - names of our own
        return {tenant for (tenant,) in cursor.fetchall()}


def test_raw_sql_sees_one_tenant_on_every_table(acme: World, other: World) -> None:
    seen = 0
    for table in listed().values():
        if table.tenant is None or "SELECT" not in table.app:
            continue
        with tenant_scope(acme.tenant_id):
            mine = rows(table.name)
        with tenant_scope(other.tenant_id):
            theirs = rows(table.name)
        assert mine <= {acme.tenant_id}, table.name
        assert theirs <= {other.tenant_id}, table.name
        seen += bool(mine and theirs)

    assert seen >= 10


def test_a_tenant_that_does_not_exist_and_the_platform_see_nothing_of_any(acme: World) -> None:
    for tenant_id in (new_id(), PLATFORM):
        with tenant_scope(tenant_id):
            for table in listed().values():
                if table.tenant is not None and "SELECT" in table.app:
                    assert rows(table.name) <= {tenant_id}, table.name


def test_anothers_object_is_as_one_that_does_not_exist(acme: World, other: World) -> None:
    for model in TENANT_MODELS:
        with tenant_scope(acme.tenant_id):
            mine = model._default_manager.first()
        if mine is None:
            continue
        with tenant_scope(other.tenant_id):
            manager = model._default_manager
            assert not manager.filter(pk=mine.pk).exists(), model
            assert manager.filter(pk=mine.pk).count() == 0
            with pytest.raises(model.DoesNotExist) as hidden:
                manager.get(pk=mine.pk)
            with pytest.raises(model.DoesNotExist) as absent:
                manager.get(pk=new_id())
            assert str(hidden.value) == str(absent.value)


def changed(model: type[models.Model]) -> dict[str, Any]:
    """Return a change of one of the model's own columns that changes nothing."""
    field = next(each for each in model._meta.concrete_fields if not each.primary_key and each.column != "tenant_id")
    return {field.attname: models.F(field.attname)}


def test_anothers_rows_are_neither_updated_nor_deleted(acme: World, other: World) -> None:
    for model in TENANT_MODELS:
        table = listed()[model._meta.db_table]
        with tenant_scope(acme.tenant_id):
            keys = list(model._default_manager.values_list("pk", flat=True))
        with tenant_scope(other.tenant_id):
            # Past the managers' own filter, so that it is the database that is tried.
            everything: models.QuerySet[Any] = models.QuerySet(model=model)
            if "UPDATE" in table.app:
                assert everything.filter(pk__in=keys).update(**changed(model)) == 0, model
            if "DELETE" in table.app and keys:
                assert everything.filter(pk__in=keys)._raw_delete("default") == 0, model
        with tenant_scope(acme.tenant_id):
            assert list(model._default_manager.values_list("pk", flat=True)) == keys


def test_joins_do_not_reach_across(acme: World, other: World) -> None:
    """From rows of the platform as a whole (people, tenants) back into a tenant's."""
    with tenant_scope(acme.tenant_id), connection.cursor() as cursor:
        cursor.execute(
            "SELECT t.id, m.tenant_id FROM tenants_tenant t LEFT JOIN tenants_membership m ON m.tenant_id = t.id "
            "WHERE t.id = ANY(%s)",
            [[acme.tenant_id, other.tenant_id]],
        )
        found = set(cursor.fetchall())

    assert found == {(acme.tenant_id, acme.tenant_id), (other.tenant_id, None)}


def test_rows_are_not_made_for_another_tenant(acme: World, other: World) -> None:
    def make() -> None:
        with tenant_scope(acme.tenant_id), connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO tenants_membership (id, tenant_id, user_id, role, created_at) "
                "VALUES (%s, %s, %s, 'owner', now())",
                [new_id(), other.tenant_id, acme.bob.user_id],
            )

    with pytest.raises(DatabaseError, match="row-level security"):
        make()


def test_journal_and_outbox_are_not_written_for_another_tenant(acme: World, other: World) -> None:
    statements = (
        "INSERT INTO audit_outbox (tenant_id, record_ids) VALUES (%s, '{}')",
        "INSERT INTO audit_payload (record_id, tenant_id, salt, value) SELECT audit_record_id(now(), 1), %s, '', ''",
    )
    for statement in statements:
        with pytest.raises(DatabaseError, match="row-level security"):
            execute(acme, statement, other.tenant_id)


def execute(here: World, statement: str, *parameters: Any) -> None:
    with tenant_scope(here.tenant_id), connection.cursor() as cursor:
        cursor.execute(statement, parameters)


def test_a_budget_of_another_tenant_is_out_of_reach(acme: World, other: World) -> None:
    """The engine passes the tenant in each statement; were it the wrong one, the scope would still hold."""

    def reserve(here: World) -> Any:
        with tenant_scope(acme.tenant_id), connection.cursor() as cursor:
            held = reservations.reservation(1, 1, on=date(2026, 11, 1))
            return reservations.reserve(cursor.connection, held, tenant_id=here.tenant_id)

    assert reserve(acme)
    with pytest.raises(Exception, match="row-level security"):
        reserve(other)


# --- oracles: what the database tells about rows it hides ---------------------------------------------------------


def test_a_row_made_for_another_tenant_is_refused_before_it_is_compared_with_theirs(acme: World, other: World) -> None:
    """No unique constraint speaks of another tenant's names: the answer is the same, taken or not."""

    def make(slug: str) -> str:
        try:
            execute(
                acme,
                "INSERT INTO tenants_team (id, tenant_id, slug, name, group_id) "
                "SELECT %s, %s, %s, '', min(id) FROM auth_group",
                new_id(),
                other.tenant_id,
                slug,
            )
        except DatabaseError as error:
            return str(error)
        return "made"

    assert make("desk") == make("no-such-team")
    assert "row-level security" in make("desk")


def test_names_are_unique_in_a_tenant_only(acme: World, other: World) -> None:
    """`peopled` gave both the same names of tools, agents and teams."""
    for model, name in ((Tool, {"name": "lookup"}), (Agent, {"slug": "agent"}), (Team, {"slug": "desk"})):
        with tenant_scope(acme.tenant_id):
            mine = model._default_manager.get(**name)
        with tenant_scope(other.tenant_id):
            assert model._default_manager.get(**name).pk != mine.pk


def reference(here: World, team_id: UUID, user_id: UUID) -> str:
    """Try to place a user in a team; return what the database says."""
    try:
        with tenant_scope(here.tenant_id):
            TeamMember.objects.create(team_id=team_id, user_id=user_id)
    except IntegrityError as error:
        return str(error)
    return "made"


def test_a_reference_to_another_tenants_row_is_refused_like_one_to_nothing(acme: World, other: World) -> None:
    """PostgreSQL checks foreign keys past row-level security; ours are over the tenant as well (`db.references`)."""
    with tenant_scope(other.tenant_id):
        theirs = Team.objects.get(slug="desk")

    refused = reference(acme, theirs.id, acme.alice.user_id)

    assert "tenants_teammember_team_id_of_tenant" in refused
    assert refused == reference(acme, new_id(), acme.alice.user_id)


def test_who_is_no_member_has_no_place_in_a_team(acme: World, other: World) -> None:
    with tenant_scope(acme.tenant_id):
        team = Team.objects.get(slug="desk")

    refused = reference(acme, team.id, other.alice.user_id)

    assert "tenants_teammember_user_id_of_tenant" in refused
    assert refused == reference(acme, team.id, new_id())


READS: dict[str, Callable[[], int]] = {
    "runs": lambda: Run.objects.count(),
    "keys": lambda: ApiKey.objects.count(),
    "members": lambda: Membership.objects.count(),
    "records": lambda: Record.objects.count(),
    "payloads": lambda: Payload.objects.count(),
}


@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_counts_are_of_the_tenant_alone(acme: World, read: Callable[[], int]) -> None:
    with tenant_scope(acme.tenant_id):
        before = read()
    peopled()
    with tenant_scope(acme.tenant_id):
        assert read() == before > 0


def test_tools_of_one_name_are_two(acme: World, other: World) -> None:
    changed_spec = {**LOOKUP, "description": "Look something else up."}
    tools.put("lookup", changed_spec, acting_as=acme.alice)

    with tenant_scope(other.tenant_id):
        assert Tool.objects.get(name="lookup").versions.count() == 1

"""Data sources: named, and without a password in sight."""

import pytest

from access.errors import AccessDenied
from agents.actions import sources
from agents.errors import InvalidDocument, UnknownSource
from audit.models import Record
from db.scope import tenant_scope
from tests.worlds import World, world

pytestmark = pytest.mark.usefixtures("database")

SALES = {"engine": "sqlite", "url": "sales.db"}


@pytest.fixture
def here() -> World:
    return world()


def test_a_source_is_defined_changed_and_left_alone(here: World) -> None:
    source = sources.put("sales", SALES, acting_as=here.alice)
    sources.put("sales", {"engine": "postgresql", "url": "secret:sales_db"}, acting_as=here.alice)
    sources.put("sales", {"engine": "postgresql", "url": "secret:sales_db"}, acting_as=here.alice)

    with tenant_scope(here.tenant_id):
        assert sources.by_name("sales").url == "secret:sales_db"
        actions = Record.objects.filter(stream=source.id).order_by("id").values_list("action", flat=True)
        assert list(actions) == ["source.added", "source.changed"]


@pytest.mark.parametrize(
    ("name", "spec"),
    [
        ("1", SALES),
        ("sales db", SALES),
        ("sales", {"engine": "sqlite"}),
        ("sales", {"engine": "mysql", "url": "x"}),
        ("sales", {"engine": "postgresql", "url": "postgresql://me:pw@db/x"}),
    ],
)
def test_bad_input_is_refused(here: World, name: str, spec: dict[str, str]) -> None:
    with pytest.raises(InvalidDocument):
        sources.put(name, spec, acting_as=here.alice)


def test_bob_may_not_and_carol_sees_nothing(here: World) -> None:
    with pytest.raises(AccessDenied):
        sources.put("sales", SALES, acting_as=here.bob)
    sources.put("sales", SALES, acting_as=here.alice)
    with tenant_scope(world().tenant_id), pytest.raises(UnknownSource):
        sources.by_name("sales")

"""Queues: who works them, and that only what changed is recorded."""

import pytest

from access.errors import AccessDenied
from agents.errors import InvalidDocument
from audit.models import Record
from db.scope import tenant_scope
from escalations.actions import queues
from escalations.models import Queue
from tenants.actions import teams
from tenants.principal import COMMAND
from tests.worlds import World, world

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture
def here() -> World:
    made = world()
    teams.put(tenant_id=made.tenant_id, slug="credit", emails=[f"bob@{made.slug}.example"], acting_as=COMMAND)
    return made


def mail(here: World, person: str) -> str:
    return f"{person}@{here.slug}.example"


def spec_of(here: World, queue: Queue) -> object:
    with tenant_scope(here.tenant_id):
        return queues.spec_of(Queue.objects.get(id=queue.id))


def test_a_queue_is_what_its_document_says(here: World) -> None:
    spec = {"members": [mail(here, "rita")], "teams": ["credit"], "due_s": 14400, "escalate_to": "leads"}

    queue = queues.put("credit", spec, acting_as=here.alice)

    assert spec_of(here, queue) == spec


def test_a_change_replaces_members_and_teams(here: World) -> None:
    queues.put("credit", {"members": [mail(here, "rita")], "teams": ["credit"]}, acting_as=here.alice)

    queue = queues.put("credit", {"members": [mail(here, "bob"), mail(here, "rita")]}, acting_as=here.alice)

    assert spec_of(here, queue) == {"members": [mail(here, "bob"), mail(here, "rita")], "teams": []}
    with tenant_scope(here.tenant_id):
        actions = Record.objects.filter(stream=queue.id).order_by("id").values_list("action", flat=True)
        assert list(actions) == ["queue.added", "queue.changed"]


def test_the_same_again_is_no_change(here: World) -> None:
    queue = queues.put("credit", {"members": [mail(here, "rita")]}, acting_as=here.alice)
    queues.put("credit", {"members": [mail(here, "rita")]}, acting_as=here.alice)

    with tenant_scope(here.tenant_id):
        assert Record.objects.filter(stream=queue.id).count() == 1


@pytest.mark.parametrize(
    ("slug", "spec", "pointer"),
    [
        ("Credit", {}, ""),
        ("credit", {"members": ["nobody@x.example"]}, "/members/0"),
        ("credit", {"teams": ["nobody"]}, "/teams/0"),
        ("credit", {"due_s": 1}, "/due_s"),
        ("credit", {"dues": 1}, "/dues"),
    ],
)
def test_bad_input_is_refused_with_its_place(here: World, slug: str, spec: dict[str, object], pointer: str) -> None:
    with pytest.raises(InvalidDocument) as caught:
        queues.put(slug, spec, acting_as=here.alice)

    assert [error["pointer"] for error in caught.value.errors] == [pointer]
    with tenant_scope(here.tenant_id):
        assert not Queue.objects.exists()


def test_bob_may_not_and_carols_people_are_strangers(here: World) -> None:
    carol = world()

    with pytest.raises(AccessDenied):
        queues.put("credit", {}, acting_as=here.bob)
    with pytest.raises(InvalidDocument):
        queues.put("credit", {"members": [mail(carol, "rita")]}, acting_as=here.alice)

"""Secrets: sealed at rest, each tenant's own, never in a record."""

import pytest

from access.errors import AccessDenied
from audit.models import Payload, Record
from config.redaction import hide
from db.scope import tenant_scope
from tests.worlds import World, world
from vault.actions import secrets
from vault.errors import BadSecretName, EmptySecret, SecretInUse, SecretTooLong, SecretTooShort, UnknownSecret
from vault.models import Secret

pytestmark = pytest.mark.usefixtures("database")

VALUE = "correct horse battery staple"


@pytest.fixture
def here() -> World:
    return world()


def test_a_secret_is_revealed_inside_its_tenant_only(here: World) -> None:
    secrets.put("crm_token", VALUE, acting_as=here.alice)

    with tenant_scope(here.tenant_id):
        assert secrets.reveal("crm_token") == VALUE
        assert [secret.name for secret in secrets.kept()] == ["crm_token"]
    with tenant_scope(world().tenant_id), pytest.raises(UnknownSecret):
        secrets.reveal("crm_token")


def test_it_stands_nowhere_in_the_clear(here: World) -> None:
    secret = secrets.put("crm_token", VALUE, acting_as=here.alice)

    with tenant_scope(here.tenant_id):
        assert VALUE not in Secret.objects.get().sealed
        record = Record.objects.get(stream=secret.id)
        assert VALUE not in str(record.facts) + str(Payload.objects.get(record_id=record.id).value)


def test_a_new_value_takes_the_old_ones_place(here: World) -> None:
    secret = secrets.put("crm_token", VALUE, acting_as=here.alice)
    secrets.put("crm_token", "another value", acting_as=here.alice)

    with tenant_scope(here.tenant_id):
        assert secrets.reveal("crm_token") == "another value"
        actions = Record.objects.filter(stream=secret.id).order_by("id").values_list("action", flat=True)
        assert list(actions) == ["secret.added", "secret.changed"]


def test_what_is_missing_is_a_lookup_error(here: World) -> None:
    with tenant_scope(here.tenant_id), pytest.raises(LookupError, match="secret set"):
        secrets.reveal("nope")


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("", VALUE, BadSecretName),
        ("1st", VALUE, BadSecretName),
        ("a b", VALUE, BadSecretName),
        ("a" * 64, VALUE, BadSecretName),
        ("name\n", VALUE, BadSecretName),
        ("name", "", EmptySecret),
        ("name", "   ", EmptySecret),
        ("name", "abc", SecretTooShort),
        ("name", "x" * 70_000, SecretTooLong),
    ],
)
def test_bad_input_is_refused(here: World, name: str, value: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        secrets.put(name, value, acting_as=here.alice)
    with tenant_scope(here.tenant_id):
        assert not Secret.objects.exists()


def test_bob_may_not(here: World) -> None:
    with pytest.raises(AccessDenied):
        secrets.put("crm_token", VALUE, acting_as=here.bob)


def test_a_secret_is_forgotten_for_good(here: World) -> None:
    secret = secrets.put("crm_token", VALUE, acting_as=here.alice)

    secrets.remove("crm_token", acting_as=here.alice)

    with tenant_scope(here.tenant_id):
        assert not Secret.objects.exists()
        record = Record.objects.get(stream=secret.id, action="secret.removed")
        assert Payload.objects.get(record_id=record.id).value == '{"name":"crm_token"}'
    with pytest.raises(UnknownSecret):
        secrets.remove("crm_token", acting_as=here.alice)


def test_a_secret_in_use_is_kept(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "USES", [lambda name: [f"the tool {number}" for number in range(9)]])
    secrets.put("crm_token", VALUE, acting_as=here.alice)

    with pytest.raises(SecretInUse, match="the tool 4, 4 more; let that use"):
        secrets.remove("crm_token", acting_as=here.alice)

    with tenant_scope(here.tenant_id):
        assert secrets.reveal("crm_token") == VALUE


def test_bob_may_not_make_it_forgotten(here: World) -> None:
    secrets.put("crm_token", VALUE, acting_as=here.alice)

    with pytest.raises(AccessDenied):
        secrets.remove("crm_token", acting_as=here.bob)


def test_what_was_handed_out_is_not_logged(here: World) -> None:
    secrets.put("crm_token", VALUE, acting_as=here.alice)

    assert hide(f"no such token: {VALUE}") == "no such token: [redacted]"

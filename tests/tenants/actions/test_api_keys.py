"""API keys: made once, recognised until something about them, their principal or their member changes."""

import hashlib
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from django.db import connection
from django.utils import timezone

from audit.models import Payload, Record
from db.embedded import Server
from db.scope import tenant_scope
from tenants.actions import api_keys, tenants
from tenants.errors import BadKey, BadName, UnknownMember, UnknownScope
from tenants.models import ApiKey, Membership, Role, User
from tenants.principal import COMMAND, Principal
from tests.worlds import World, world

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture
def here() -> World:
    return world()


def create(here: World, *scopes: str, name: str = "client", member: str | None = None) -> tuple[ApiKey, str]:
    return api_keys.create(
        tenant=tenants.by_id(here.tenant_id),
        name=name,
        scopes=scopes or ("runs:read",),
        member_email=None if member is None else f"{member}@{here.slug}.example",
        acting_as=COMMAND,
    )


def change(here: World, key: ApiKey, **fields: Any) -> None:
    with tenant_scope(here.tenant_id):
        ApiKey.objects.filter(id=key.id).update(**fields)


def test_a_key_acts_as_its_member_within_its_scopes(here: World) -> None:
    key, text = create(here, "runs:write", "runs:read", "runs:read", member="alice")

    assert api_keys.authenticate(text) == Principal(
        here.tenant_id, here.alice.user_id, Role.OPERATOR, False, frozenset({"runs:read", "runs:write"}), key.id
    )


def test_a_key_without_a_member_gets_an_account_that_is_no_person(here: World) -> None:
    key, text = create(here, "admin")

    principal = api_keys.authenticate(text)
    user = User.objects.get(id=principal.user_id)
    assert principal.is_service
    assert (principal.role, user.is_service, user.has_usable_password()) == (Role.OPERATOR, True, False)
    assert key.principal_id == user.id


def test_a_key_has_256_random_bits_and_a_mark(here: World) -> None:
    texts = {create(here)[1] for _ in range(20)}

    assert len(texts) == 20
    assert all(text.startswith("cs_") and len(text) == 3 + 43 for text in texts)


def test_the_role_is_the_members_of_now(here: World) -> None:
    _, text = create(here, member="alice")
    with tenant_scope(here.tenant_id):
        Membership.objects.filter(user_id=here.alice.user_id).update(role=Role.VIEWER)

    assert api_keys.authenticate(text).role == Role.VIEWER


@pytest.mark.parametrize(
    "text", ["", "cs_", "cs_x", "Bearer cs_x", "cs_" + "A" * 43, "cs_\ud800", "cs_\x00", "cs_é"], ids=ascii
)
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(BadKey):
        api_keys.authenticate(text)


def test_almost_the_key_is_not_the_key(here: World) -> None:
    key, text = create(here)
    for other in (text[:-1], text + "A", text.swapcase(), text[3:], f" {text}", f"{text}\n", key.prefix):
        with pytest.raises(BadKey):
            api_keys.authenticate(other)


def test_a_revoked_key_is_refused(here: World) -> None:
    key, text = create(here)
    change(here, key, revoked_at=timezone.now())

    with pytest.raises(BadKey):
        api_keys.authenticate(text)


def test_an_expired_key_is_refused_and_one_that_will_expire_is_not(here: World) -> None:
    key, text = create(here)
    change(here, key, expires_at=timezone.now() + timedelta(hours=1))
    assert api_keys.authenticate(text).key_id == key.id

    change(here, key, expires_at=timezone.now() - timedelta(seconds=1))
    with pytest.raises(BadKey):
        api_keys.authenticate(text)


def test_the_key_of_somebody_inactive_is_refused(here: World) -> None:
    _, text = create(here, member="bob")
    User.objects.filter(id=here.bob.user_id).update(is_active=False)

    with pytest.raises(BadKey):
        api_keys.authenticate(text)


def test_the_key_of_a_removed_member_is_refused_though_still_a_member_elsewhere(here: World) -> None:
    _, text = create(here, member="bob")
    with tenant_scope(world().tenant_id):
        Membership.objects.create(user_id=here.bob.user_id, role=Role.OWNER)
    with tenant_scope(here.tenant_id):
        Membership.objects.filter(user_id=here.bob.user_id).delete()

    with pytest.raises(BadKey):
        api_keys.authenticate(text)


def test_all_refusals_say_the_same(here: World) -> None:
    key, text = create(here)
    change(here, key, revoked_at=timezone.now())
    said = set()
    for wrong in (text, "cs_unknown", "nothing"):
        with pytest.raises(BadKey) as refused:
            api_keys.authenticate(wrong)
        said.add(str(refused.value))

    assert len(said) == 1


@pytest.mark.parametrize("scopes", [("runs:read", "runs:fly"), ("RUNS:READ",), ("",), ("*",)])
def test_an_unknown_scope_is_refused_and_nothing_is_made(here: World, scopes: tuple[str, ...]) -> None:
    with pytest.raises(UnknownScope, match="Known: runs:read"):
        create(here, *scopes)
    with tenant_scope(here.tenant_id):
        assert not ApiKey.objects.exists()
        assert Membership.objects.count() == 3


def test_no_scope_at_all_is_refused(here: World) -> None:
    with pytest.raises(UnknownScope, match="none given"):
        api_keys.create(tenant=tenants.by_id(here.tenant_id), name="x", scopes=[], acting_as=COMMAND)


@pytest.mark.parametrize("member", ["nobody", ""])
def test_a_stranger_gets_no_key(here: World, member: str) -> None:
    with pytest.raises(UnknownMember):
        create(here, member=member)


@pytest.mark.parametrize("name", ["x" * 201, "a\nb", "\x00"], ids=ascii)
def test_a_name_that_cannot_be_kept_or_shown_is_refused(here: World, name: str) -> None:
    with pytest.raises(BadName):
        create(here, name=name)


def test_the_record_tells_of_the_key_but_not_what_it_is(here: World) -> None:
    key, text = create(here, "runs:write", "admin", member="alice")

    with tenant_scope(here.tenant_id):
        record = Record.objects.get(stream=key.id)
        payload = Payload.objects.get(record_id=record.id).value
    assert (record.action, record.subject) == ("key.created", f"user:{here.alice.user_id}")
    assert record.facts == {"scopes": ["admin", "runs:write"]}
    assert key.prefix in payload
    assert text not in payload


def test_the_key_stands_nowhere_in_the_database(here: World, embedded_server: Server) -> None:
    """Every row of every table, as text: neither the key nor what follows its prefix is there, its digest is."""
    key, text = create(here)
    secret = text[api_keys.PREFIX_LENGTH :]
    with psycopg.connect(embedded_server.dsn(database=connection.settings_dict["NAME"])) as raw:
        names = raw.execute(
            "SELECT oid::regclass::text FROM pg_class WHERE relkind IN ('r', 'p') AND NOT relispartition "
            "AND relnamespace = 'public'::regnamespace"
        ).fetchall()
        assert len(names) > 30
        for (name,) in names:
            found = raw.execute(f"SELECT 1 FROM {name} AS r WHERE r::text LIKE %s", [f"%{secret}%"])  # noqa: S608
            assert found.fetchone() is None, name

    with tenant_scope(here.tenant_id):
        assert bytes(ApiKey.objects.get(id=key.id).digest) == hashlib.sha256(text.encode()).digest()

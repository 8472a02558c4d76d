"""Keys over time: their end, their successors, their last use."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from audit.models import Payload, Record
from db.scope import tenant_scope
from tenants.actions import api_keys, members, tenants
from tenants.errors import BadExpiry, BadKey, BadOverlap, KeyEnded, TenantError, UnknownKey
from tenants.models import ApiKey
from tenants.principal import COMMAND
from tests.worlds import World, world

pytestmark = pytest.mark.usefixtures("database")

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


@pytest.fixture
def here() -> World:
    return world()


def create(here: World, **more: Any) -> tuple[ApiKey, str]:
    return api_keys.create(
        tenant=tenants.by_id(here.tenant_id),
        name="client",
        scopes=["runs:read", "runs:write"],
        member_email=f"bob@{here.slug}.example",
        acting_as=COMMAND,
        **more,
    )


def again(here: World, key: ApiKey) -> ApiKey:
    with tenant_scope(here.tenant_id):
        return ApiKey.objects.get(id=key.id)


def works(text: str) -> bool:
    try:
        api_keys.authenticate(text)
    except BadKey:
        return False
    return True


# --- the end ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ends", [timedelta(), -HOUR, -10_000 * DAY])
def test_a_key_does_not_end_before_it_begins(here: World, ends: timedelta) -> None:
    with pytest.raises(BadExpiry, match="in the future"):
        create(here, expires_at=timezone.now() + ends)
    with tenant_scope(here.tenant_id):
        assert not ApiKey.objects.exists()


def test_a_keys_end_is_kept_and_recorded(here: World) -> None:
    until = datetime(2999, 12, 31, 12, tzinfo=UTC)
    key, text = create(here, expires_at=until)

    assert works(text)
    with tenant_scope(here.tenant_id):
        assert Record.objects.get(stream=key.id).facts["expires_at"] == "2999-12-31T12:00:00+00:00"
    assert again(here, key).expires_at == until


def test_an_installation_may_bound_all_keys(here: World, settings: Any) -> None:
    settings.API_KEY_MAX_DAYS = 30

    with pytest.raises(BadExpiry, match="after 30 days at most"):
        create(here, expires_at=timezone.now() + 31 * DAY)
    key, _ = create(here)
    assert key.expires_at is not None
    assert 29 * DAY < key.expires_at - timezone.now() <= 30 * DAY


def test_keys_that_are_there_already_are_bound_too(here: World, settings: Any) -> None:
    old, old_text = create(here)
    young, young_text = create(here, expires_at=timezone.now() + 90 * DAY)
    with tenant_scope(here.tenant_id):
        ApiKey.objects.filter(id=old.id).update(created_at=timezone.now() - 30 * DAY)
    assert works(old_text)

    settings.API_KEY_MAX_DAYS = 30

    assert (works(old_text), works(young_text)) == (False, True)
    assert list(api_keys.standing([old_text, young_text])) == [young_text]
    with tenant_scope(here.tenant_id):
        refused = Record.objects.get(action="key.refused", stream=old.id)
    assert refused.facts == {"reason": "expired"}
    assert api_keys.ends_at(again(here, young)) == young.created_at + 30 * DAY
    with pytest.raises(KeyEnded):
        api_keys.rotate(old, overlap=HOUR, acting_as=COMMAND)
    successor, _ = api_keys.rotate(young, overlap=HOUR, acting_as=COMMAND)
    assert successor.expires_at is not None
    assert successor.expires_at <= timezone.now() + 30 * DAY


# --- whoever makes one --------------------------------------------------------------------------------------------


def test_a_key_ends_no_later_than_the_one_that_makes_it(here: World) -> None:
    until = timezone.now() + HOUR
    maker, _ = create(here, expires_at=until)

    with pytest.raises(BadExpiry, match="no later than the one that makes it"):
        create(here, made_with=maker.id, expires_at=until + timedelta(seconds=1))
    assert create(here, made_with=maker.id)[0].expires_at == until
    assert create(here, made_with=maker.id, expires_at=until)[0].expires_at == until
    earlier = until - timedelta(minutes=1)
    assert create(here, made_with=maker.id, expires_at=earlier)[0].expires_at == earlier
    endless, _ = create(here)
    assert create(here, made_with=endless.id)[0].expires_at is None


def test_a_key_that_ends_cannot_prolong_itself_by_a_successor(here: World) -> None:
    until = timezone.now() + HOUR
    first, _ = create(here, expires_at=until)
    other, _ = create(here)

    with pytest.raises(BadExpiry, match="no later"):
        api_keys.rotate(first, overlap=HOUR, made_with=first.id, expires_at=until + DAY, acting_as=COMMAND)
    second, _ = api_keys.rotate(first, overlap=HOUR, made_with=first.id, acting_as=COMMAND)
    third, _ = api_keys.rotate(second, overlap=timedelta(), made_with=second.id, acting_as=COMMAND)
    of_another, _ = api_keys.rotate(other, overlap=HOUR, made_with=third.id, acting_as=COMMAND)

    assert second.expires_at == third.expires_at == of_another.expires_at == until


def test_the_installations_bound_is_the_makers_too(here: World, settings: Any) -> None:
    maker, _ = create(here)
    with tenant_scope(here.tenant_id):
        ApiKey.objects.filter(id=maker.id).update(created_at=timezone.now() - 29 * DAY)
    settings.API_KEY_MAX_DAYS = 30

    made, _ = create(here, made_with=maker.id)

    assert made.expires_at == api_keys.ends_at(again(here, maker))


# --- successors ---------------------------------------------------------------------------------------------------


def test_a_successor_acts_as_the_same_and_both_work_for_a_while(here: World) -> None:
    old, text = create(here)
    new, new_text = api_keys.rotate(old, overlap=HOUR, acting_as=COMMAND)

    before, after = api_keys.authenticate(text), api_keys.authenticate(new_text)
    assert (before.user_id, before.scopes, before.role) == (after.user_id, after.scopes, after.role)
    assert new_text != text
    kept = again(here, old)
    assert kept.successor_id == new.id
    assert kept.expires_at is not None
    assert timedelta() < kept.expires_at - timezone.now() <= HOUR
    assert again(here, new).expires_at is None


def test_without_overlap_the_old_key_ends_at_once(here: World) -> None:
    old, text = create(here)
    _, new_text = api_keys.rotate(old, overlap=timedelta(), acting_as=COMMAND)

    assert (works(text), works(new_text)) == (False, True)


def test_an_overlap_does_not_prolong_a_key(here: World) -> None:
    until = timezone.now() + HOUR
    old, _ = create(here, expires_at=until)
    new, _ = api_keys.rotate(old, overlap=DAY, acting_as=COMMAND)

    assert again(here, old).expires_at == until
    assert new.expires_at is not None
    assert abs(new.expires_at - timezone.now() - HOUR) < timedelta(minutes=1), "as long as its predecessor"


@pytest.mark.parametrize("overlap", [-HOUR, 31 * DAY])
def test_an_overlap_has_bounds(here: World, overlap: timedelta) -> None:
    old, _ = create(here)

    with pytest.raises(BadOverlap):
        api_keys.rotate(old, overlap=overlap, acting_as=COMMAND)
    assert again(here, old).successor_id is None


def test_what_has_ended_or_has_a_successor_gets_none(here: World) -> None:
    revoked, rotated, expired = (create(here)[0] for _ in range(3))
    api_keys.revoke(revoked, acting_as=COMMAND)
    api_keys.rotate(rotated, overlap=HOUR, acting_as=COMMAND)
    with tenant_scope(here.tenant_id):
        ApiKey.objects.filter(id=expired.id).update(expires_at=timezone.now() - HOUR)

    for key in (revoked, rotated, expired):
        with pytest.raises(KeyEnded):
            api_keys.rotate(key, overlap=HOUR, acting_as=COMMAND)


def test_of_many_successors_at_once_one_is_made(here: World) -> None:
    old, _ = create(here)

    def attempt(_: int) -> str:
        try:
            api_keys.rotate(old, overlap=HOUR, acting_as=COMMAND)
        except TenantError as error:
            return error.code
        finally:
            connection.close()
        return "done"

    with ThreadPoolExecutor(6) as pool:
        assert sorted(pool.map(attempt, range(6))) == ["done", *["key_ended"] * 5]
    with tenant_scope(here.tenant_id):
        assert ApiKey.objects.count() == 2


def test_a_rotation_is_one_record_that_does_not_tell_the_key(here: World) -> None:
    old, _ = create(here)
    new, text = api_keys.rotate(old, overlap=HOUR, acting_as=COMMAND)

    with tenant_scope(here.tenant_id):
        record = Record.objects.get(stream=old.id, action="key.rotated")
        assert not Record.objects.filter(stream=new.id).exists()
        payload = Payload.objects.get(record_id=record.id).value
    assert record.facts == {"successor": f"key:{new.id}", "overlap_s": 3600, "scopes": ["runs:read", "runs:write"]}
    assert new.prefix in payload
    assert text not in payload


def test_a_key_is_revoked_once(here: World) -> None:
    key, text = create(here)
    first = api_keys.revoke(key, acting_as=COMMAND).revoked_at
    second = api_keys.revoke(key, acting_as=COMMAND).revoked_at

    assert not works(text)
    assert first == second
    with tenant_scope(here.tenant_id):
        assert Record.objects.filter(stream=key.id, action="key.revoked").count() == 1


def test_another_tenants_key_is_none(here: World) -> None:
    key, _ = create(world())

    with tenant_scope(here.tenant_id):
        for name in (str(key.id), key.prefix):
            with pytest.raises(UnknownKey):
                api_keys.named(name)


def test_a_key_is_named_by_id_or_prefix(here: World) -> None:
    key, _ = create(here)
    create(here)

    with tenant_scope(here.tenant_id):
        assert api_keys.named(str(key.id)) == api_keys.named(key.prefix) == key
        ApiKey.objects.update(prefix=key.prefix)
        with pytest.raises(UnknownKey, match="more than one"):
            api_keys.named(key.prefix)


# --- the last use -------------------------------------------------------------------------------------------------


def row_version(here: World, key: ApiKey) -> str:
    """Return what is another one after each write of the key's row."""
    with tenant_scope(here.tenant_id), connection.cursor() as cursor:
        cursor.execute("SELECT ctid::text FROM tenants_apikey WHERE id = %s", [key.id])
        found: str = cursor.fetchone()[0]
        return found


def test_the_first_use_is_kept_and_the_next_ones_write_nothing(here: World) -> None:
    key, text = create(here)
    assert again(here, key).last_used_at is None
    api_keys.authenticate(text)
    first = again(here, key).last_used_at
    assert first is not None

    version = row_version(here, key)

    for _ in range(3):
        api_keys.authenticate(text)

    assert row_version(here, key) == version
    assert again(here, key).last_used_at == first


def test_a_use_long_after_is_kept(here: World) -> None:
    key, text = create(here)
    long_ago = timezone.now() - HOUR
    with tenant_scope(here.tenant_id):
        ApiKey.objects.filter(id=key.id).update(last_used_at=long_ago)
    api_keys.authenticate(text)

    used = again(here, key).last_used_at
    assert used is not None
    assert used > long_ago


def test_a_use_waits_for_nobody_who_holds_the_key(here: World) -> None:
    key, text = create(here)
    with tenant_scope(here.tenant_id):
        ApiKey.objects.select_for_update().get(id=key.id)
        with ThreadPoolExecutor(4) as pool:
            assert all(pool.map(_use, [text] * 8))

    assert again(here, key).last_used_at is None


def test_of_many_uses_at_once_one_is_written(here: World) -> None:
    key, text = create(here)
    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(_use, [text] * 24))

    first = again(here, key).last_used_at
    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(_use, [text] * 24))
    assert first is not None
    assert again(here, key).last_used_at == first


def _use(text: str) -> bool:
    try:
        return works(text)
    finally:
        connection.close()


def test_a_refused_key_is_not_used(here: World) -> None:
    key, text = create(here)
    members.deactivate(place_of_bob(here), acting_as=COMMAND)

    assert not works(text)
    assert again(here, key).last_used_at is None


def place_of_bob(here: World) -> Any:
    with tenant_scope(here.tenant_id):
        return members.any_by_email(f"bob@{here.slug}.example")

"""Keys come and go: everything is sealed anew, nothing is lost, and nobody starts without a key that is needed."""

import os
import threading
from collections.abc import Callable, Iterator

import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import connections

from audit.models import Record
from db.scope import PLATFORM, tenant_scope
from tenants.principal import COMMAND
from tests.locks import until_waited_for
from tests.worlds import World, world
from vault import checks, ring
from vault.actions import keys, secrets
from vault.crypto import KeyMissing, key_id, sealed_with
from vault.errors import FieldKeyPresent, FieldKeysLost, UnknownFieldKey
from vault.models import FieldKey, Secret

Use = Callable[..., None]

OLD, NEW = os.urandom(32), os.urandom(32)


@pytest.fixture
def use(database: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Use]:
    """Give the process these keys before its own; afterwards nothing is left that needs any but its own."""
    own = settings.FIELD_KEYS

    def have(*given: bytes) -> None:
        monkeypatch.setattr(settings, "FIELD_KEYS", (*given, *own))
        ring.keyring.cache_clear()

    yield have
    monkeypatch.setattr(settings, "FIELD_KEYS", (*own, OLD, NEW))
    ring.keyring.cache_clear()
    keys.rotate(acting_as=COMMAND)
    for key in keys.outdated():
        FieldKey.objects.filter(id=key).delete()
    have()


def values(here: World) -> dict[str, str]:
    with tenant_scope(here.tenant_id):
        return {secret.name: secrets.reveal(secret.name) for secret in secrets.kept()}


def sealing(here: World) -> set[str | None]:
    with tenant_scope(here.tenant_id):
        return {sealed_with(secret.sealed) for secret in Secret.objects.all()}


def rotations(tenant: World | None) -> list[Record]:
    with tenant_scope(tenant.tenant_id if tenant else PLATFORM):
        found = Record.objects.filter(action__in=["secret.rotated", "field_key.retired", "field_key.forgotten"])
        return list(found.order_by("id"))


def test_rotating_seals_everything_with_the_newest_key_and_lets_the_old_one_go(use: Use) -> None:
    acme, globex = world(), world()
    use(OLD)
    for here in (acme, globex):
        for number in range(5):
            secrets.put(f"s{number}", f"value {number} of {here.slug}", acting_as=here.alice)
    before = values(acme), values(globex)
    use(NEW, OLD)

    done = keys.rotate(acting_as=COMMAND, batch=2)

    assert (values(acme), values(globex)) == before
    assert sealing(acme) == sealing(globex) == {key_id(NEW)}
    assert done.resealed >= 10
    assert (done.unreadable, done.needed) == (0, ())
    assert key_id(OLD) in done.retired
    use(NEW)
    assert (values(acme), values(globex)) == before
    keys.refuse_lost()


def test_each_batch_is_told_in_its_tenants_journal_without_names(use: Use) -> None:
    here = world()
    use(OLD)
    for number in range(5):
        secrets.put(f"s{number}", "correct horse", acting_as=here.alice)
    use(NEW, OLD)

    keys.rotate(acting_as=COMMAND, batch=2)

    told = rotations(here)
    assert [record.facts for record in told] == [
        {"of": "secrets", "key": key_id(NEW), "count": count} for count in (2, 2, 1)
    ]
    assert {record.commitment for record in told} == {None}
    assert rotations(None)[-1].facts["key"] in {key_id(OLD), *map(key_id, settings.FIELD_KEYS)}


def test_a_second_time_there_is_nothing_to_do(use: Use) -> None:
    here = world()
    secrets.put("token", "correct horse", acting_as=here.alice)
    use(NEW)
    keys.rotate(acting_as=COMMAND)
    with tenant_scope(here.tenant_id):
        sealed = Secret.objects.get().sealed

    again = keys.rotate(acting_as=COMMAND)

    assert (again.resealed, again.retired) == (0, ())
    with tenant_scope(here.tenant_id):
        assert Secret.objects.get().sealed == sealed
    assert len(rotations(here)) == 1


def test_rotating_is_no_change_of_the_secret(use: Use) -> None:
    here = world()
    secrets.put("token", "correct horse", acting_as=here.alice)
    with tenant_scope(here.tenant_id):
        before = Secret.objects.get().updated_at
    use(NEW)
    keys.rotate(acting_as=COMMAND)

    with tenant_scope(here.tenant_id):
        assert Secret.objects.get().updated_at == before


def test_broken_off_half_way_it_goes_on_where_it_was(use: Use, monkeypatch: pytest.MonkeyPatch) -> None:
    here = world()
    use(OLD)
    for number in range(6):
        secrets.put(f"s{number}", f"value {number}", acting_as=here.alice)
    before = values(here)
    use(NEW, OLD)
    reseal, calls = keys._reseal, 0

    def breaks(*args: object) -> object:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise ConnectionError
        return reseal(*args)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr(keys, "_reseal", breaks)
        patched.setattr(keys, "_tenants", lambda: [here.tenant_id, PLATFORM])
        with pytest.raises(ConnectionError):
            keys.rotate(acting_as=COMMAND, batch=2)
    assert sealing(here) == {key_id(OLD), key_id(NEW)}
    assert values(here) == before
    assert key_id(OLD) in keys.outdated()

    keys.rotate(acting_as=COMMAND, batch=2)

    assert sealing(here) == {key_id(NEW)}
    assert values(here) == before
    assert key_id(OLD) not in keys.outdated()


def test_a_value_set_while_rotating_is_never_taken_back(use: Use) -> None:
    here = world()
    use(OLD)
    for number in range(20):
        secrets.put(f"s{number}", "first value", acting_as=here.alice)
    use(NEW, OLD)

    def serve() -> None:
        for number in range(20):
            secrets.put(f"s{number}", "second value", acting_as=here.alice)
        connections.close_all()

    serving = threading.Thread(target=serve)
    serving.start()
    keys.rotate(acting_as=COMMAND, batch=3)
    serving.join()

    assert set(values(here).values()) == {"second value"}
    assert sealing(here) == {key_id(NEW)}


def test_a_key_that_somebody_is_sealing_with_at_that_moment_is_not_let_go(use: Use) -> None:
    """A process that has the old keys still: its transaction is open as the keys are looked at."""
    here = world()
    use(OLD)
    secrets.put("token", "correct horse", acting_as=here.alice)
    late = threading.Event()

    def put_late() -> None:
        with tenant_scope(here.tenant_id):
            secrets.put("late", "battery staple", acting_as=here.alice)
            late.set()
            until_waited_for()
        connections.close_all()

    writing = threading.Thread(target=put_late)
    writing.start()
    late.wait(30)
    use(NEW, OLD)

    rotated = keys.rotate(acting_as=COMMAND)

    writing.join()
    assert key_id(OLD) in rotated.needed
    keys.rotate(acting_as=COMMAND)
    assert values(here) == {"token": "correct horse", "late": "battery staple"}
    assert key_id(OLD) not in keys.outdated()


def test_without_a_key_that_is_needed_nothing_starts(use: Use) -> None:
    here = world()
    use(OLD)
    secrets.put("token", "correct horse", acting_as=here.alice)
    keys.refuse_lost()
    use(NEW)

    with pytest.raises(FieldKeysLost) as refused:
        keys.refuse_lost()

    assert key_id(OLD) in str(refused.value)
    assert "secret forget" in str(refused.value)
    with tenant_scope(here.tenant_id), pytest.raises(KeyMissing):
        secrets.reveal("token")
    use(OLD)
    keys.refuse_lost()


def test_a_key_is_given_up_on_in_so_many_words(use: Use) -> None:
    here = world()
    use(OLD)
    secrets.put("token", "correct horse", acting_as=here.alice)
    with pytest.raises(FieldKeyPresent):
        keys.forget(key_id(OLD), acting_as=COMMAND)
    use(NEW)

    keys.forget(key_id(OLD), acting_as=COMMAND)

    keys.refuse_lost()
    assert rotations(None)[-1].facts == {"key": key_id(OLD)}
    with pytest.raises(UnknownFieldKey):
        keys.forget(key_id(OLD), acting_as=COMMAND)
    assert keys.rotate(acting_as=COMMAND).unreadable == 1
    secrets.put("token", "set anew", acting_as=here.alice)
    assert values(here) == {"token": "set anew"}


def test_a_lost_key_that_seals_nothing_any_more_is_let_go(use: Use) -> None:
    here = world()
    use(OLD)
    secrets.put("token", "correct horse", acting_as=here.alice)
    secrets.remove("token", acting_as=here.alice)
    use(NEW)

    assert key_id(OLD) in keys.rotate(acting_as=COMMAND).retired
    keys.refuse_lost()


def test_the_check_says_what_is_needed_and_what_is_lost(use: Use) -> None:
    here = world()
    use(OLD)
    secrets.put("token", "correct horse", acting_as=here.alice)
    use(NEW, OLD)
    old = [message for message in checks.field_keys(databases=["default"]) if key_id(OLD) in message.msg]
    use(NEW)
    lost = checks.field_keys(databases=["default"])

    assert [message.id for message in old] == ["vault.I001"]
    assert "vault.E001" in [message.id for message in lost]
    assert checks.field_keys(databases=None) == []


def test_the_command_tells_each_keys_state(use: Use, capsys: pytest.CaptureFixture[str]) -> None:
    here = world()
    use(OLD)
    secrets.put("token", "correct horse", acting_as=here.alice)
    use(NEW, OLD)
    call_command("secret", "keys")
    before = capsys.readouterr().out
    call_command("secret", "rotate")
    call_command("secret", "keys")
    after = capsys.readouterr().out

    assert f"{key_id(NEW)} seals\n{key_id(OLD)} is still needed: run `secret rotate`\n" in before
    assert f"{key_id(OLD)} may go from FIELD_KEYS\n" in after
    assert f"{key_id(NEW)} seals\n{key_id(OLD)} may go\n" in after

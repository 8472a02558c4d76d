"""Secrets at rest: they open only with their key, in their place."""

import os
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vault.crypto import BadFieldKey, KeyMissing, Keyring, SealBroken, key_id, sealed_with

ACME, GLOBEX = UUID(int=1), UUID(int=2)
OLD, NEW = bytes(range(32)), bytes(range(32, 64))


@given(secret=st.text(), name=st.text(min_size=1))
def test_a_secret_comes_back(secret: str, name: str) -> None:
    keys = Keyring([NEW])

    assert keys.open(keys.seal(secret, tenant_id=ACME, name=name), tenant_id=ACME, name=name) == secret


def test_the_same_secret_is_never_sealed_alike_and_not_readable() -> None:
    keys = Keyring([NEW])
    sealed = [keys.seal("hunter2-hunter2", tenant_id=ACME, name="crm") for _ in range(100)]

    assert len(set(sealed)) == 100
    assert all("hunter2" not in each and each.isascii() for each in sealed)


@pytest.mark.parametrize(("tenant", "name"), [(GLOBEX, "crm"), (ACME, "crn"), (ACME, "crm "), (ACME, "")])
def test_a_row_moved_elsewhere_does_not_open(tenant: UUID, name: str) -> None:
    keys = Keyring([NEW])
    sealed = keys.seal("s3cret", tenant_id=ACME, name="crm")

    with pytest.raises(SealBroken):
        keys.open(sealed, tenant_id=tenant, name=name)


def test_a_changed_character_is_noticed_wherever_it_is() -> None:
    keys = Keyring([NEW])
    sealed = keys.seal("s3cret", tenant_id=ACME, name="crm")
    for place in range(len(sealed) - 1):
        changed = sealed[:place] + ("A" if sealed[place] != "A" else "B") + sealed[place + 1 :]
        with pytest.raises((SealBroken, KeyMissing)):
            keys.open(changed, tenant_id=ACME, name="crm")


@pytest.mark.parametrize("sealed", ["", "v1", "v1.", "v1..", "v1.00000000.", "v2.00000000.AAAA", "v1.x.%%%%", "v1.x.ä"])
def test_what_was_never_sealed_does_not_open(sealed: str) -> None:
    assert sealed_with(sealed) in {None, "00000000", "x"}
    with pytest.raises((SealBroken, KeyMissing)):
        Keyring([NEW]).open(sealed, tenant_id=ACME, name="crm")


def test_a_new_key_opens_what_the_old_one_sealed_and_each_value_says_which_key_that_was() -> None:
    sealed = Keyring([OLD]).seal("s3cret", tenant_id=ACME, name="crm")
    keys = Keyring([NEW, OLD])

    assert keys.ids == (key_id(NEW), key_id(OLD))
    assert sealed_with(sealed) == key_id(OLD)
    again = keys.seal(keys.open(sealed, tenant_id=ACME, name="crm"), tenant_id=ACME, name="crm")
    assert sealed_with(again) == key_id(NEW)
    assert Keyring([NEW]).open(again, tenant_id=ACME, name="crm") == "s3cret"


def test_a_missing_key_is_told_apart_from_a_broken_seal() -> None:
    sealed = Keyring([OLD]).seal("s3cret", tenant_id=ACME, name="crm")

    with pytest.raises(KeyMissing):
        Keyring([NEW]).open(sealed, tenant_id=ACME, name="crm")


@pytest.mark.parametrize("keys", [[], [b""], [os.urandom(31)], [os.urandom(32), os.urandom(33)]])
def test_a_key_of_another_length_is_refused(keys: list[bytes]) -> None:
    with pytest.raises(BadFieldKey):
        Keyring(keys)


def test_a_keyring_does_not_show_its_keys() -> None:
    assert NEW.hex() not in repr(Keyring([NEW]))

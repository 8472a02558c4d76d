"""Opaque ids."""

import time
from uuid import UUID

from db.models import new_id


def test_ids_are_version_7_with_the_clocks_time() -> None:
    before = time.time_ns() // 1_000_000
    made = [new_id() for _ in range(1000)]
    after = time.time_ns() // 1_000_000

    assert {each.version for each in made} == {7}
    assert {each.variant for each in made} == {"specified in RFC 4122"}
    assert all(before <= each.int >> 80 <= after for each in made)
    assert len(set(made)) == 1000


def test_all_other_bits_are_random() -> None:
    made = [new_id().int for _ in range(2000)]
    free = (0xFFF << 64) | ((1 << 62) - 1)
    seen_set, seen_clear = 0, 0
    for each in made:
        seen_set |= each & free
        seen_clear |= ~each & free

    assert (seen_set, seen_clear) == (free, free)


def test_an_id_is_an_ordinary_uuid() -> None:
    made = new_id()

    assert UUID(str(made)) == made

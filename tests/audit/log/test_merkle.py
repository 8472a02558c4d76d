"""Proofs are made as RFC 6962 says, and those that are altered in any of the known ways are refused."""

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from hypothesis import given
from hypothesis import strategies as st

from audit.log import merkle
from audit.log.merkle import ProofRefused
from tests.audit.log import naive

Json = Any

SIZES = (1, 2, 3, 4, 5, 7, 8, 9, 16, 21, 33)
TREE = naive.entries(max(SIZES))
ROOTS = [naive.mth(TREE[:size]) for size in range(len(TREE) + 1)]
NONSENSE = bytes(range(32))


def subtree(first: int, end: int) -> bytes:
    return naive.mth(TREE[first:end])


def inclusion(index: int, size: int, leaf: bytes, root: bytes, proof: list[bytes]) -> bool:
    try:
        merkle.check_inclusion(index=index, size=size, leaf=leaf, root=root, proof=proof)
    except ProofRefused:
        return False
    return True


def consistency(old: int, new: int, old_root: bytes, new_root: bytes, proof: list[bytes]) -> bool:
    try:
        merkle.check_consistency(old_size=old, new_size=new, old_root=old_root, new_root=new_root, proof=proof)
    except ProofRefused:
        return False
    return True


def test_hashes_are_those_of_the_definition() -> None:
    assert naive.mth([]) == merkle.EMPTY_ROOT
    for size in SIZES:
        hashes = [merkle.leaf_hash(entry) for entry in TREE[:size]]
        assert merkle.root_of(hashes) == ROOTS[size]


@pytest.mark.parametrize("size", SIZES)
def test_each_leaf_of_a_tree_is_proven(size: int) -> None:
    for index in range(size):
        proof = merkle.inclusion_proof(index, size, subtree)

        assert proof == naive.path(index, TREE[:size])
        assert inclusion(index, size, merkle.leaf_hash(TREE[index]), ROOTS[size], proof)


@pytest.mark.parametrize("new", SIZES)
def test_each_smaller_tree_is_proven_to_be_its_beginning(new: int) -> None:
    for old in range(1, new + 1):
        proof = merkle.consistency_proof(old, new, subtree)

        assert proof == naive.proof(old, TREE[:new])
        assert consistency(old, new, ROOTS[old], ROOTS[new], proof)


def altered(proof: list[bytes], *roots: bytes) -> Iterator[list[bytes]]:
    """Yield the proof with garbage, with roots beside it, without parts, with others, and with a bit turned.

    The kinds of the public vectors.
    """
    for root in roots:
        yield [root, *proof]
        yield [*proof, root]
    if proof:
        yield [proof[0], *proof]
        yield []
    yield [b"", *proof]
    yield [NONSENSE, *proof]
    yield [*proof, b""]
    yield [*proof, NONSENSE]
    yield [*proof, *proof[-1:], NONSENSE]
    for at, each in enumerate(proof):
        yield proof[:at] + proof[at + 1 :]
        yield [*proof[:at], NONSENSE, *proof[at:]]
        yield [*proof[:at], bytes([each[0] ^ 8]) + each[1:], *proof[at + 1 :]]
        yield [*proof[:at], each[:-1], *proof[at + 1 :]]


def other_numbers(number: int) -> set[int]:
    return {number - 1, number + 1, number ^ 2, number * 2, number // 2, -1, 2**63, 2**64 - 1} - {number}


@pytest.mark.parametrize(("index", "size"), [(0, 1), (0, 8), (5, 8), (2, 3), (1, 5), (20, 21), (32, 33)])
def test_a_proof_of_inclusion_that_was_altered_is_refused(index: int, size: int) -> None:
    leaf, root, proof = merkle.leaf_hash(TREE[index]), ROOTS[size], naive.path(index, TREE[:size])

    for other in altered(proof, root):
        assert not inclusion(index, size, leaf, root, other)
    for other_root in (b"", NONSENSE, root + b"\0", b"\0" + root, root[:-1]):
        assert not inclusion(index, size, leaf, other_root, proof)
    assert not inclusion(index, size, merkle.leaf_hash(b"other"), root, proof)
    assert not inclusion(index, size, b"", root, proof)
    for other_index in other_numbers(index):
        assert not inclusion(other_index, size, leaf, root, proof)
    for other_size in (0, size // 2, index, size * 2):
        assert not inclusion(index, other_size, leaf, root, proof)


@pytest.mark.parametrize(("old", "new"), [(1, 8), (6, 8), (2, 5), (6, 7), (8, 9), (7, 21), (32, 33)])
def test_a_proof_of_consistency_that_was_altered_is_refused(old: int, new: int) -> None:
    old_root, new_root, proof = ROOTS[old], ROOTS[new], naive.proof(old, TREE[:new])

    for other in altered(proof, old_root, new_root):
        assert not consistency(old, new, old_root, new_root, other)
    for root in (b"", NONSENSE, old_root + b"\0", b"\0" + old_root, new_root):
        assert not consistency(old, new, root, new_root, proof)
    for root in (b"", NONSENSE, new_root + b"\0", b"\0" + new_root, old_root):
        assert not consistency(old, new, old_root, root, proof)
    assert not consistency(old, new, new_root, old_root, proof)
    for other_size in other_numbers(old):
        assert not consistency(other_size, new, old_root, new_root, proof)
    for other_size in (new * 2, new // 2, old, 0, -new):
        assert not consistency(old, other_size, old_root, new_root, proof)
    assert not consistency(new, old, old_root, new_root, proof)


def test_trees_of_one_size_need_no_proof_and_are_equal() -> None:
    assert consistency(5, 5, ROOTS[5], ROOTS[5], [])
    assert not consistency(5, 5, ROOTS[5], ROOTS[4], [])
    assert not consistency(5, 5, ROOTS[5], ROOTS[5], [NONSENSE])


def test_nothing_is_proven_of_the_empty_tree() -> None:
    assert not consistency(0, 0, merkle.EMPTY_ROOT, merkle.EMPTY_ROOT, [])
    assert not consistency(0, 5, merkle.EMPTY_ROOT, ROOTS[5], [])
    assert not inclusion(0, 0, merkle.leaf_hash(b""), merkle.EMPTY_ROOT, [])


@given(st.integers(min_value=1, max_value=33), st.data())
def test_any_other_leaf_root_or_place_is_refused(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(min_value=0, max_value=size - 1))
    leaf, root, proof = merkle.leaf_hash(TREE[index]), ROOTS[size], naive.path(index, TREE[:size])
    other = data.draw(st.integers(min_value=0, max_value=size - 1))
    hashes = [leaf, root, *proof]
    which, bit = data.draw(st.integers(0, len(hashes) - 1)), data.draw(st.integers(0, 255))
    turned = bytearray(hashes[which])
    turned[bit // 8] ^= 1 << bit % 8
    bad = [*hashes[:which], bytes(turned), *hashes[which + 1 :]]

    assert inclusion(other, size, leaf, root, proof) is (other == index)
    assert not inclusion(index, size, bad[0], bad[1], bad[2:])


PUBLIC = Path(settings.BASE_DIR).parent / "shared" / "vectors" / "rfc6962"


def cases() -> list[Json]:
    """Return the public vectors where they lie beside the project, and ours of the same form and kinds elsewhere."""
    if not PUBLIC.is_dir():
        return list(ours())
    found = [json.loads(path.read_text()) for path in PUBLIC.rglob("*.json")]
    assert len(found) == 196
    return found


def ours() -> Iterator[Json]:
    def text(hashes: list[bytes]) -> list[str]:
        return [base64.b64encode(each).decode() for each in hashes]

    for index, size in ((0, 1), (0, 8), (5, 8), (20, 21)):
        right, [leaf, root] = naive.path(index, TREE[:size]), text([merkle.leaf_hash(TREE[index]), ROOTS[size]])
        of = {"leafIdx": index, "treeSize": size, "leafHash": leaf, "root": root}
        yield from ({**of, "proof": text(each), "wantErr": True} for each in altered(right, ROOTS[size]))
        yield {**of, "proof": text(right) or None, "wantErr": False}
    for old, new in ((1, 8), (6, 8), (2, 5), (7, 21)):
        right, [older, newer] = naive.proof(old, TREE[:new]), text([ROOTS[old], ROOTS[new]])
        of = {"size1": old, "size2": new, "root1": older, "root2": newer}
        yield from ({**of, "proof": text(each), "wantErr": True} for each in altered(right, ROOTS[old], ROOTS[new]))
        yield {**of, "proof": text(right), "wantErr": False}


@pytest.mark.parametrize("made", [cases, lambda: list(ours())], ids=["public", "ours"])
def test_vectors_are_told_apart(made: Callable[[], list[Json]]) -> None:
    told = [(decides(case), case["wantErr"]) for case in made()]

    assert len(told) > 100
    assert {*told} == {(True, False), (False, True)}


def decides(case: Json) -> bool:
    """Say whether the case's proof is accepted."""
    hashes = {
        name: base64.b64decode(case[name] or "") for name in ("root", "root1", "root2", "leafHash") if name in case
    }
    proof = [base64.b64decode(each) for each in case["proof"] or ()]
    if "leafIdx" in case:
        return inclusion(case["leafIdx"], case["treeSize"], hashes["leafHash"], hashes["root"], proof)
    return consistency(case["size1"], case["size2"], hashes["root1"], hashes["root2"], proof)


@pytest.mark.parametrize("ask", [(-1, 4), (4, 4), (0, 0), (0, 2**63)])
def test_no_proof_is_made_of_a_leaf_that_is_not_there(ask: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="no leaf"):
        merkle.inclusion_proof(*ask, subtree)


@pytest.mark.parametrize("ask", [(0, 4), (5, 4), (-1, 4), (1, 2**63)])
def test_no_proof_is_made_between_trees_that_do_not_follow(ask: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="No proof leads"):
        merkle.consistency_proof(*ask, subtree)

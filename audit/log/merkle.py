"""Hashes of a Merkle tree, and proofs about it (RFC 6962, section 2.1). Pure.

`D[n]` is the list of the tree's n entries, `MTH` its root; sizes and indexes lie between 0 and 2^63 - 1. The algorithms
that check proofs are those of RFC 9162, sections 2.1.3.2 and 2.1.4.2, which say how RFC 6962's proofs are checked.
"""

import hashlib
from collections.abc import Callable, Sequence
from typing import Final

#: Bytes of a hash: SHA-256's.
HASH_BYTES: Final = 32

#: RFC 6962, section 2.1: the hash of an empty list is the hash of an empty string.
EMPTY_ROOT: Final = hashlib.sha256(b"").digest()

#: Sizes and indexes are below; what is said to be larger is refused.
MAX_SIZE: Final = 2**63

_sha256 = hashlib.sha256

#: Returns MTH(D[first:end]); see `subtree_of`.
Subtree = Callable[[int, int], bytes]


class ProofRefused(ValueError):
    """The proof does not prove what it is said to prove."""


def leaf_hash(entry: bytes) -> bytes:
    """Return SHA-256(0x00 ‖ entry), 32 bytes (RFC 6962, section 2.1)."""
    return _sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return SHA-256(0x01 ‖ left ‖ right), 32 bytes (RFC 6962, section 2.1)."""
    return _sha256(b"\x01" + left + right).digest()


def root_of(hashes: Sequence[bytes]) -> bytes:
    """Return the root over leaf hashes, or over the roots of subtrees that are full and of one size.

    RFC 6962, section 2.1. Taken a level at a time: what stands alone at a level's end goes up as it is, which comes to
    the same as splitting at the largest power of two.
    """
    if not hashes:
        return EMPTY_ROOT
    level = list(hashes)
    while len(level) > 1:
        odd = level[-1:] if len(level) % 2 else []
        level = [_sha256(b"\x01" + left + right).digest() for left, right in zip(level[::2], level[1::2], strict=False)]
        level += odd
    return level[0]


def split(size: int) -> int:
    """Return the largest power of two below `size`, which is at least 2 (RFC 6962, section 2.1)."""
    return 1 << (size - 1).bit_length() - 1


def subtree_of(perfect: Callable[[int, int], bytes]) -> Subtree:
    """Return a function of (first, end) that gives MTH(D[first:end]), for ranges that the proofs ask for.

    perfect: of (height, place), gives the root of the full subtree over the 2^height leaves from place·2^height on.
    """

    def subtree(first: int, end: int) -> bytes:
        size = end - first
        if size & (size - 1) == 0:
            height = size.bit_length() - 1
            return perfect(height, first >> height)
        middle = first + split(size)
        return node_hash(subtree(first, middle), subtree(middle, end))

    return subtree


def inclusion_proof(index: int, size: int, subtree: Subtree) -> list[bytes]:
    """Return PATH(index, D[size]): hashes from the leaf's sibling up (RFC 6962, section 2.1.1).

    0 ≤ index < size; raises `ValueError` otherwise, and what `subtree` raises.
    """
    if not 0 <= index < size < MAX_SIZE:
        raise ValueError(f"There is no leaf {index} in a tree of {size}.")
    path: list[bytes] = []
    first, end = 0, size
    while end - first > 1:
        middle = first + split(end - first)
        if index < middle:
            path.append(subtree(middle, end))
            end = middle
        else:
            path.append(subtree(first, middle))
            first = middle
    return path[::-1]


def consistency_proof(old: int, new: int, subtree: Subtree) -> list[bytes]:
    """Return PROOF(old, D[new]) (RFC 6962, section 2.1.2): that the tree of `new` leaves begins with that of `old`.

    0 < old ≤ new; raises `ValueError` otherwise, and what `subtree` raises. Empty when both are one.
    """
    if not 0 < old <= new < MAX_SIZE:
        raise ValueError(f"No proof leads from a tree of {old} to one of {new}.")
    proof: list[bytes] = []
    first, end, whole = 0, new, True
    while old != end:
        middle = first + split(end - first)
        if old <= middle:
            proof.append(subtree(middle, end))
            end = middle
        else:
            proof.append(subtree(first, middle))
            first, whole = middle, False
    if not whole:
        proof.append(subtree(first, end))
    return proof[::-1]


def check_inclusion(*, index: int, size: int, leaf: bytes, root: bytes, proof: Sequence[bytes]) -> None:
    """Raise `ProofRefused` unless the proof shows that the leaf hash stands at `index` in the tree of that root.

    RFC 9162, section 2.1.3.2. leaf, root and each hash of the proof: 32 bytes.
    """
    if not 0 <= index < size < MAX_SIZE:
        raise ProofRefused(f"A tree of {size} has no leaf {index}.")
    _check_lengths(leaf, root, *proof)
    place, last, found = index, size - 1, leaf
    for each in proof:
        if last == 0:
            raise ProofRefused("The proof of inclusion is too long.")
        if place & 1 or place == last:
            found = node_hash(each, found)
            while not place & 1 and place != 0:
                place, last = place >> 1, last >> 1
        else:
            found = node_hash(found, each)
        place, last = place >> 1, last >> 1
    if last != 0:
        raise ProofRefused("The proof of inclusion is too short.")
    if found != root:
        raise ProofRefused(f"The proof does not lead from leaf {index} to the root.")


def check_consistency(
    *, old_size: int, new_size: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]
) -> None:
    """Raise `ProofRefused` unless the proof shows that the new tree begins with the old one.

    RFC 9162, section 2.1.4.2. 0 < old_size: every tree begins with the empty one, so there is nothing to prove.
    """
    if not 0 < old_size <= new_size < MAX_SIZE:
        raise ProofRefused(f"No proof leads from a tree of {old_size} to one of {new_size}.")
    if old_size == new_size:
        if proof:
            raise ProofRefused("A proof between trees of one size is empty.")
        if old_root != new_root:
            raise ProofRefused(f"There are two trees of {old_size} leaves.")
        return
    _check_lengths(old_root, new_root, *proof)
    if not proof:
        raise ProofRefused("The proof of consistency is too short.")
    path = list(proof) if old_size & (old_size - 1) else [old_root, *proof]
    place, last = old_size - 1, new_size - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    old = new = path[0]
    for each in path[1:]:
        if last == 0:
            raise ProofRefused("The proof of consistency is too long.")
        if place & 1 or place == last:
            old, new = node_hash(each, old), node_hash(each, new)
            while not place & 1 and place != 0:
                place, last = place >> 1, last >> 1
        else:
            new = node_hash(new, each)
        place, last = place >> 1, last >> 1
    if last != 0:
        raise ProofRefused("The proof of consistency is too short.")
    if old != old_root or new != new_root:
        raise ProofRefused(f"The tree of {new_size} leaves does not begin with that tree of {old_size}.")


def _check_lengths(*hashes: bytes) -> None:
    if any(len(each) != HASH_BYTES for each in hashes):
        raise ProofRefused("A hash has 32 bytes.")

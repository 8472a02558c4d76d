"""Tiles are cut, named and read as C2SP tlog-tiles says."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.log import merkle, tiles
from audit.log.tiles import ENTRIES, BadTile, Tile
from audit.log.tree import Tree
from tests.audit.log import naive


def test_paths_are_those_of_the_specification() -> None:
    assert Tile(0, 1234067).path == "tile/0/x001/x234/067"
    assert Tile(1, 0, 17).path == "tile/1/000.p/17"
    assert Tile(ENTRIES, 273, 112).path == "tile/entries/273.p/112"
    assert Tile(63, 1000).path == "tile/63/x001/000"


@given(st.sampled_from([ENTRIES, 0, 1, 7, 63]), st.integers(0, 2**63 - 1), st.integers(1, 256))
def test_a_path_names_one_tile_and_back(level: int, n: int, width: int) -> None:
    tile = Tile(level, n, width)

    assert tiles.parse_path(tile.path) == tile


@pytest.mark.parametrize(
    "path",
    [
        "",
        "tile/0",
        "tile/0/1",
        "tile/0/0001",
        "tile/00/001",
        "tile/64/000",
        "tile/100/000",
        "tile/-1/000",
        "tile/0/x000/001",
        "tile/0/001/002",
        "tile/0/x001/x002",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/01",
        "tile/0/000.p/",
        "tile/0/000/",
        "tile/entry/000",
        "/tile/0/000",
        "tile/0/000\n",
        "tile/0/\u0661\u0662\u0663",
        "tile/0/" + "x999/" * 7 + "999",
    ],
)
def test_other_spellings_name_none(path: str) -> None:
    with pytest.raises(BadTile):
        tiles.parse_path(path)


def test_the_right_edge_is_that_of_the_specifications_examples() -> None:
    assert tiles.right_edge(70_000) == [Tile(0, 273, 112), Tile(1, 1, 17), Tile(2, 0, 1)]
    assert tiles.right_edge(256) == [Tile(1, 0, 1)]
    assert tiles.right_edge(0) == []
    assert tiles.of_size(0, 272, 70_000) == Tile(0, 272)
    with pytest.raises(BadTile):
        tiles.of_size(0, 274, 70_000)


def test_a_tile_is_of_a_tree_once_that_has_its_hashes() -> None:
    assert Tile(0, 273, 112).is_of(70_000)
    assert Tile(0, 273, 5).is_of(70_000)
    assert not Tile(0, 273, 113).is_of(70_000)
    assert not Tile(1, 1).is_of(70_000)
    assert not Tile(ENTRIES, 274, 1).is_of(70_000)


def grown(size: int) -> tuple[Tree, dict[Tile, list[bytes]]]:
    """Return a tree of that size and all of its tiles, each tried for as long as it is partial."""
    tree, full = Tree(), {}
    leaves = [merkle.leaf_hash(entry) for entry in naive.entries(size)]
    for made in tree.extend(leaves):
        full[made.tile] = tiles.hashes_of(made.tile, made.hashes)
        assert merkle.root_of(full[made.tile]) == made.root
    for tile in tiles.right_edge(size):
        below = (
            [full[Tile(tile.level - 1, n)] for n in range(tile.n * 256, tile.n * 256 + tile.width)]
            if tile.level
            else []
        )
        full[tile] = [merkle.root_of(each) for each in below] if tile.level else leaves[tile.n * 256 :]
    return tree, full


@pytest.mark.parametrize("size", [0, 1, 2, 255, 256, 257, 511, 513, 700])
def test_a_tree_grows_as_if_made_at_once_and_its_tiles_tell_its_root(size: int) -> None:
    tree, full = grown(size)
    root = naive.mth(naive.entries(size))

    assert (tree.size, tree.root()) == (size, root)
    assert tiles.root_from(size, full.__getitem__) == root
    again = Tree.of(size, {tile.level: full[tile] for tile in tiles.right_edge(size)})
    again.extend([merkle.leaf_hash(b"one more")])
    assert again.root() == naive.mth([*naive.entries(size), b"one more"])


def test_two_levels_of_tiles_come_together() -> None:
    size = 256 * 256 + 300
    leaves = [merkle.leaf_hash(bytes([at % 251])) for at in range(size)]
    tree = Tree()
    whole = [made for at in range(0, size, 1000) for made in tree.extend(leaves[at : at + 1000])]

    assert [made.tile for made in whole if made.tile.level] == [Tile(1, 0)]
    assert len(whole) == 256 + 1 + 1
    assert tree.root() == merkle.root_of(leaves)
    assert tiles.right_edge(size) == [Tile(0, 257, 44), Tile(1, 1, 1), Tile(2, 0, 1)]


def test_a_tree_is_not_taken_up_from_another_ones_edge() -> None:
    _, full = grown(300)
    edge: dict[int, Sequence[bytes]] = {tile.level: full[tile] for tile in tiles.right_edge(300)}
    for wrong in ({}, {0: edge[0]}, {**edge, 0: edge[0][:-1]}, {**edge, 2: edge[1]}):
        with pytest.raises(ValueError, match="right edge"):
            Tree.of(300, wrong)


@given(st.integers(1, 700), st.data())
def test_proofs_out_of_tiles_are_those_of_the_definition(size: int, data: st.DataObject) -> None:
    full = {tile: hashes for tile, hashes in FULL.items() if tile.width == 256 and tile.is_of(size)}
    leaves = LEAVES[:size]
    full |= {Tile(0, size // 256, size % 256): leaves[size // 256 * 256 :]} if size % 256 else {}
    full |= {
        tile: [merkle.root_of(full[Tile(0, n)]) for n in range(tile.width)]
        for tile in tiles.right_edge(size)[-1:]
        if tile.level == 1
    }
    index = data.draw(st.integers(0, size - 1))
    subtree = tiles.subtree_reader(size, full.__getitem__)

    proof = merkle.inclusion_proof(index, size, subtree)
    merkle.check_inclusion(index=index, size=size, leaf=leaves[index], root=merkle.root_of(leaves), proof=proof)
    before = merkle.consistency_proof(index + 1, size, subtree)
    merkle.check_consistency(
        old_size=index + 1,
        new_size=size,
        old_root=merkle.root_of(leaves[: index + 1]),
        new_root=merkle.root_of(leaves),
        proof=before,
    )


LEAVES = [merkle.leaf_hash(entry) for entry in naive.entries(700)]
_, FULL = grown(700)


@pytest.mark.parametrize(
    ("first", "end", "size"), [(0, 700, 700), (0, 1, 700), (300, 310, 700), (5, 5, 700), (699, 700, 700)]
)
def test_what_covers_a_period_is_what_its_proof_needs(first: int, end: int, size: int) -> None:
    covering = tiles.covering(first, end, size)

    assert set(tiles.right_edge(size)) <= set(covering)
    assert {tile.n for tile in covering if tile.level == ENTRIES} == (
        {*range(first // 256, (end - 1) // 256 + 1)} if end > first else set()
    )
    assert all(tile.is_of(size) for tile in covering)
    if (first, end) == (0, size):
        assert {tile for tile in covering if tile.level != ENTRIES} == set(FULL)


def test_entry_bundles_are_lengths_and_entries() -> None:
    entries = [b"", b"one", b"x" * 65_535]

    data = tiles.entry_bundle(entries)

    assert data[:7] == b"\0\0\0\3one"
    assert list(tiles.read_entry_bundle(data)) == entries
    for cut in (1, 3, len(data) - 1):
        with pytest.raises(BadTile):
            list(tiles.read_entry_bundle(data[:cut]))
    with pytest.raises(BadTile):
        tiles.entry_bundle([b"x" * 65_536])


def test_a_tile_of_another_length_is_refused() -> None:
    with pytest.raises(BadTile):
        tiles.hashes_of(Tile(0, 0, 2), b"x" * 63)

"""Notes, keys, checkpoints and proofs are read and written as the C2SP documents say."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from audit.log import merkle, note
from audit.log.checkpoint import BadCheckpoint, Checkpoint
from audit.log.merkle import ProofRefused
from audit.log.note import BadKey, BadNote, Note, NoteRefused, Signature, Signer, VerifierKey
from audit.log.proof import BadProof, Proof

#: The example of signed-note, "Verifier keys".
EXAMPLE_KEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
EXAMPLE = (
    "This is an example message.\n\n\u2014 example.com/foo "
    "Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
).encode()

ONE = Signer("log.example/log/one", bytes(32))
TWO = Signer("log.example/log/one", bytes([1]) * 32)
HEAD = Checkpoint("log.example/log/one", 5, bytes(range(32)))


def test_the_specifications_example_verifies() -> None:
    key = VerifierKey.parse(EXAMPLE_KEY)

    opened, signed = note.opened(EXAMPLE, [key])

    assert (opened.text, signed) == ("This is an example message.\n", [key])
    assert opened.whole.encode() == EXAMPLE
    assert key.text == EXAMPLE_KEY


def test_what_is_signed_verifies_with_each_of_its_keys_and_with_no_other() -> None:
    data = note.sign(HEAD.text, [ONE, TWO]).whole.encode()

    assert note.opened(data, [ONE.key])[1] == [ONE.key]
    assert note.opened(data, [TWO.key, ONE.key])[1] == [ONE.key, TWO.key]
    for other in (Signer("log.example/log/two", bytes(32)), Signer("log.example/log/one", bytes([2]) * 32)):
        with pytest.raises(NoteRefused):
            note.opened(data, [other.key])
    assert VerifierKey.parse(ONE.key.text) == ONE.key


def test_one_failing_signature_of_a_known_key_refuses_the_whole_note() -> None:
    good = note.sign(HEAD.text, [ONE, TWO])
    wrong = Signature(TWO.key.name, TWO.key.key_id, bytes(64))
    data = Note(good.text, (good.signatures[0], wrong)).whole.encode()

    assert note.opened(data, [ONE.key])
    with pytest.raises(NoteRefused):
        note.opened(data, [ONE.key, TWO.key])


@given(st.data())
def test_no_bit_of_a_note_can_be_turned(data: st.DataObject) -> None:
    whole = bytearray(note.sign(HEAD.text, [ONE]).whole.encode())
    at = data.draw(st.integers(0, len(whole) * 8 - 1))
    whole[at // 8] ^= 1 << at % 8

    with pytest.raises((BadNote, NoteRefused)):
        note.opened(bytes(whole), [ONE.key])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"text\n",
        b"text\n\n",
        "text\n\n\u2014 name AAAAAAAA".encode(),
        b"text\n\n- name AAAAAAAA\n",
        "text\n\n\u2014 na me AAAAAAAA\n".encode(),
        "text\n\n\u2014 na+me AAAAAAAA\n".encode(),
        "text\n\n\u2014 name\n".encode(),
        "text\n\n\u2014 name AAAAAA==\n".encode(),
        "text\n\n\u2014 name AAAAAAB=\n".encode(),
        "text\n\n\u2014 name AAAA AAAA\n".encode(),
        "te\txt\n\n\u2014 name AAAAAAAA\n".encode(),
        b"te\xffxt\n\n\xe2\x80\x94 name AAAAAAAA\n",
        b"x" * 1_000_001,
        ("text\n\n" + "\u2014 name AAAAAAAA\n" * 101).encode(),
    ],
)
def test_what_is_no_note_is_refused(data: bytes) -> None:
    with pytest.raises(BadNote):
        note.parse(data)


def test_a_note_may_hold_sixteen_signatures_and_empty_lines() -> None:
    assert len(note.parse(("a\n\nb\n\n" + "\u2014 name AAAAAAAA\n" * 16).encode()).signatures) == 16
    assert note.parse("a\n\nb\n\n\u2014 name AAAAAAAA\n".encode()).text == "a\n\nb\n"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "a+b",
        EXAMPLE_KEY.replace("530d", "530e"),
        EXAMPLE_KEY[:-4],
        " +530d903a+AekyeRrm",
        EXAMPLE_KEY.replace("Aek", "Cek"),
    ],
)
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(BadKey):
        VerifierKey.parse(text)
    with pytest.raises(BadKey):
        Signer("a b", bytes(32))


def test_a_witnesss_cosignature_is_one_of_the_text_and_a_time() -> None:
    private = Ed25519PrivateKey.from_private_bytes(bytes([7]) * 32)
    key = VerifierKey("witness.example/w1", note.COSIGNATURE, private.public_key().public_bytes_raw())
    time = 1_700_000_000
    data = time.to_bytes(8, "big") + private.sign(f"cosignature/v1\ntime {time}\n{HEAD.text}".encode())

    assert key.verifies(Signature(key.name, key.key_id, data), HEAD.text)
    assert not key.verifies(Signature(key.name, key.key_id, (time + 1).to_bytes(8, "big") + data[8:]), HEAD.text)
    assert not key.verifies(Signature(key.name, key.key_id, data[8:]), HEAD.text)
    assert VerifierKey.parse(key.text) == key


def test_a_checkpoint_is_three_lines_and_extensions() -> None:
    assert HEAD.text == f"log.example/log/one\n5\n{base64.b64encode(bytes(range(32))).decode()}\n"
    assert Checkpoint.parse(HEAD.text) == HEAD
    assert Checkpoint.parse(HEAD.text + "more\n").extensions == ("more",)


ROOT = base64.b64encode(bytes(32)).decode()


@pytest.mark.parametrize(
    "text",
    [
        "",
        f"o\n5\n{ROOT}",
        f"\n5\n{ROOT}\n",
        f"o\n05\n{ROOT}\n",
        f"o\n-5\n{ROOT}\n",
        f"o\n+5\n{ROOT}\n",
        f"o\n{2**63}\n{ROOT}\n",
        f"o\n\u0665\n{ROOT}\n",
        f"o\n5\n{ROOT[:-4]}\n",
        f"o\n5\n{ROOT[:-2]}B=\n",
        "o\n5\nAAAA\n",
        "o\n5\n",
        f"o\n5\n{ROOT}\n\n",
        f"o\n5\n{ROOT}\n\nx\n",
    ],
)
def test_what_is_no_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(BadCheckpoint):
        Checkpoint.parse(text)


def proof_of(index: int, entries: list[bytes]) -> Proof:
    leaves = [merkle.leaf_hash(entry) for entry in entries]
    head = Checkpoint(HEAD.origin, len(leaves), merkle.root_of(leaves))
    hashes = merkle.inclusion_proof(index, len(leaves), lambda first, end: merkle.root_of(leaves[first:end]))
    return Proof(index, tuple(hashes), note.sign(head.text, [ONE]).whole.encode())


def test_a_proof_is_one_text_that_shows_an_entry_in_a_log() -> None:
    entries = [b"a", b"b", b"c", b"d", b"e"]
    proof = proof_of(2, entries)

    again = Proof.parse(proof.text)

    assert again == proof
    assert proof.text.startswith("c2sp.org/tlog-proof@v1\nindex 2\n")
    assert again.check(entry=b"c", origin=HEAD.origin, keys=[ONE.key]).size == 5
    with pytest.raises(ProofRefused):
        again.check(entry=b"d", origin=HEAD.origin, keys=[ONE.key])
    with pytest.raises(ProofRefused):
        again.check(entry=b"c", origin="log.example/log/two", keys=[ONE.key])
    with pytest.raises(NoteRefused):
        again.check(entry=b"c", origin=HEAD.origin, keys=[TWO.key])


def test_a_proof_may_carry_more_which_proves_nothing() -> None:
    bare = proof_of(0, [b"only"])
    proof = Proof(bare.index, bare.hashes, bare.checkpoint, b"more")

    assert Proof.parse(proof.text) == proof
    assert "extra bW9yZQ==\nindex 0\n\n" in proof.text


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("tlog-proof@v1", "tlog-proof@v2"),
        ("index 2", "index 02"),
        ("index 2", "indeks 2"),
        ("index 2\n", ""),
        ("index 2", f"index {2**63}"),
        ("=\n", "\n"),
        ("index 2\n", "index 2\nAAAA\n"),
        ("\n\n", "\n"),
    ],
)
def test_what_is_no_proof_is_refused(old: str, new: str) -> None:
    with pytest.raises(BadProof):
        Proof.parse(proof_of(2, [b"a", b"b", b"c"]).text.replace(old, new))

"""What is said to a witness, and what is taken from one (C2SP tlog-witness)."""

import pytest

from audit.log import note, witness
from audit.log.checkpoint import Checkpoint
from audit.log.note import ED25519, Signer, VerifierKey
from audit.log.witness import BadAnswer
from tests.checkpoints.witness import Witness

LOG = Signer("log.example/log/one", bytes(32))
HEAD = note.sign(Checkpoint(LOG.key.name, 5, bytes(range(32))).text, [LOG]).whole.encode()
ONE = Witness("witness.example/one", bytes([1]) * 32)
KEY = VerifierKey.parse(ONE.vkey)
TEXT = note.parse(HEAD).text


def test_a_request_is_the_old_size_the_proof_an_empty_line_and_the_note() -> None:
    body = witness.request_body(old=3, proof=[bytes(32), bytes([1]) * 32], checkpoint=HEAD)

    assert body == f"old 3\n{'A' * 43}=\n{'AQEB' * 10}AQE=\n\n".encode() + HEAD
    assert witness.request_body(old=0, proof=[], checkpoint=HEAD) == b"old 0\n\n" + HEAD


@pytest.mark.parametrize(("old", "hashes"), [(0, 1), (3, 64)])
def test_what_no_witness_takes_is_not_sent(old: int, hashes: int) -> None:
    with pytest.raises(ValueError, match="at most 63"):
        witness.request_body(old=old, proof=[bytes(32)] * hashes, checkpoint=HEAD)


def test_the_size_it_knows_is_a_number_and_a_newline() -> None:
    assert witness.size_told(b"0\n") == 0
    assert witness.size_told(b"20852163\n") == 20852163
    for wrong in (b"", b"\n", b"1", b"01\n", b"-1\n", b"1\n\n", b" 1\n", b"1e3\n", b"9223372036854775808\n", b"<html>"):
        with pytest.raises(BadAnswer):
            witness.size_told(wrong)


def test_its_cosignature_is_taken_and_others_are_not() -> None:
    other = Witness("witness.example/two", bytes([2]) * 32).cosignature(TEXT)
    own = ONE.cosignature(TEXT)

    found = witness.cosignature(HEAD, (other + own + other).encode(), KEY)

    assert found.line == own
    assert witness.cosigned_at(found) == ONE.time


def test_of_several_the_newest_is_taken() -> None:
    earlier = Witness(ONE.name, ONE.seed, time=ONE.time - 1).cosignature(TEXT)

    assert witness.cosigned_at(witness.cosignature(HEAD, (ONE.cosignature(TEXT) + earlier).encode(), KEY)) == ONE.time


def test_what_is_not_its_cosignature_of_this_checkpoint_is_refused() -> None:
    own = ONE.cosignature(TEXT)
    wrong = [
        "",
        own[:-1],
        own[:-5] + "\n",
        own.replace("one ", "two "),
        own + ONE.cosignature(TEXT + "more\n"),
        f"more\n\n{own}",
        f"\n{own}",
        own * 100,
        ONE.cosignature(TEXT.replace("5", "6")),
        Signer(ONE.name, ONE.seed).sign(TEXT).line,  # of a log's type: says nothing of having looked
        Witness(ONE.name, ONE.seed, time=2**63).cosignature(TEXT),  # tlog-cosignature: at most 2^63 - 1
    ]
    for lines in wrong:
        with pytest.raises(BadAnswer):
            witness.cosignature(HEAD, lines.encode(), KEY)


def test_a_logs_key_is_no_witnesss() -> None:
    assert LOG.key.algorithm == ED25519
    with pytest.raises(BadAnswer):
        witness.cosignature(HEAD, LOG.sign(TEXT).line.encode(), LOG.key)

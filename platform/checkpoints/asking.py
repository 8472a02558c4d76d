"""One checkpoint and one witness: what is sent, and what came of it (C2SP tlog-witness)."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final
from uuid import UUID

from django.conf import settings

from audit import heads
from audit.log import merkle, witness
from audit.log.note import Signature
from audit.log.witness import BadAnswer
from audit.sealer import keys
from audit.stored import BrokenLog, StoredLog
from config.checkpoints import Witness
from db.roles import seal
from egress.allow import parse_allow
from egress.client import Client
from egress.errors import EgressError
from egress.messages import Request, Response

#: Seconds that an answer may take, from the name's look-up to its last byte.
TIMEOUT_S: Final = 10.0

#: What a witness says of one log, in our words. Anything else that is no 200 is a failure of the witness.
REFUSALS: Final = {
    400: "takes our request for none",
    403: "knows none of the keys that signed it: give it the log's verifier keys",
    404: "does not know this log: give it the log's origin and verifier keys",
    422: "has cosigned another tree of this log: the log was forked, or the witness errs",
}


class Failed(Exception):
    """The witness cannot be asked just now: what is left to ask waits until it can."""


class Unanswerable(Failed):
    """It answered, but nothing that is of use: which may be because of this log alone."""


class Refused(Exception):
    """The witness does not cosign this log; the others may be asked for."""


@dataclass(frozen=True, slots=True)
class Cosigned:
    """size: of the tree that was cosigned. signature: the line's, verified."""

    size: int
    signature: Signature


@dataclass(frozen=True, slots=True)
class _Head:
    size: int
    note: bytes
    proof: tuple[bytes, ...]


def ask(asked: Witness, tenant_id: UUID, generation: int, *, known: int) -> Cosigned:
    """Have the log's last checkpoint cosigned. known: the size of the tree that the witness cosigned last, we believe.

    Asks once, and once more when the witness knows another size. Nothing of the database is held meanwhile. Raises
    `Failed`, `Unanswerable`, `Refused`.
    """
    head = _head(tenant_id, generation, known)
    response = _post(asked, known, head)
    if response.status == 409:
        told = _told(response)
        if told != known and told <= head.size:
            head = _head(tenant_id, generation, told)
            response = _post(asked, told, head)
    if response.status == 409:
        told = _told(response)
        raise Refused(
            f"has cosigned a tree of {told} leaves that is not this log's, which has {head.size}: the log was forked, "
            "the witness errs, or somebody else asks it too"
        )
    if response.status in REFUSALS:
        raise Refused(REFUSALS[response.status])
    if response.status != 200:
        raise Unanswerable(f"it answers {response.status}")
    try:
        return Cosigned(head.size, witness.cosignature(head.note, response.body, asked.key))
    except BadAnswer as error:
        raise Refused(f"answers what no witness may: {error}") from error


def _head(tenant_id: UUID, generation: int, known: int) -> _Head:
    """Return the log's last checkpoint with the proof that leads there; its signature and tree are looked at first."""
    try:
        with seal():
            log = StoredLog.of(tenant_id, generation=generation)
            signed = log.signed() if log else None
            if log is None or signed is None:
                raise Refused("cannot be asked: the checkpoint is gone")
            heads.check(log, signed, keys.verifiers(log.origin))
            size = signed.head.size
            proof = merkle.consistency_proof(known, size, log.subtree(size)) if 0 < known < size else []
            return _Head(size, signed.note, tuple(proof))
    except BrokenLog as error:
        raise Refused(f"is not asked: {error}") from error


def _post(asked: Witness, old: int, head: _Head) -> Response:
    body = witness.request_body(old=old, proof=head.proof, checkpoint=head.note)
    wanted = Request(
        "POST",
        asked.url + witness.PATH,
        {"Content-Type": "text/plain; charset=utf-8"},
        body,
        timeout_s=TIMEOUT_S,
        max_bytes=witness.MAX_ANSWER,
        max_redirects=0,
        repeatable=True,  # it answers the same, or 409
    )
    try:
        return client(tuple(settings.WITNESS_ALLOW)).send(wanted)
    except EgressError as error:
        raise Failed(error.detail) from error


def _told(response: Response) -> int:
    try:
        return witness.size_told(response.body)
    except BadAnswer as error:
        raise Unanswerable(str(error)) from error


@lru_cache(maxsize=4)
def client(allowed: tuple[str, ...]) -> Client:
    """Return the guarded client of witnesses, which reaches no private place but those of WITNESS_ALLOW."""
    return Client(allow=parse_allow(allowed, setting="WITNESS_ALLOW"), setting="WITNESS_ALLOW")

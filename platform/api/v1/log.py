"""The tenant's log: its head, and the proof that a record is in it."""

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from api.schema import call, component
from api.v1.audit import _ID, _TIME
from api.views import View, found, identifier
from audit import proving, search
from audit.models import Record

Json = Any

_WITNESSED: Json = {
    "oneOf": [
        {
            "type": "object",
            "required": ["size", "checkpoint"],
            "additionalProperties": False,
            "properties": {
                "size": {"type": "integer", "minimum": 0, "description": "Leaves of the tree that was cosigned."},
                "checkpoint": {
                    "type": "string",
                    "description": "The note, with the witnesses' signature lines (C2SP tlog-cosignature).",
                },
            },
        },
        {"type": "null"},
    ]
}
_HEAD = component(
    "LogCheckpoint",
    {
        "origin": {"type": "string", "description": "Names the log; the address of its files without `https://`."},
        "size": {"type": "integer", "minimum": 0, "description": "Leaves of the tree."},
        "root": {"type": "string", "description": "The tree's root in hex (RFC 6962)."},
        "at": {**_TIME, "description": "When it was signed."},
        "checkpoint": {"type": "string", "description": "The signed note (C2SP tlog-checkpoint). Keep it."},
        "vkeys": {"type": "array", "items": {"type": "string"}, "description": "Verifier keys, newest first."},
        "witnessed": {
            **_WITNESSED,
            "description": "The newest checkpoint that a witness cosigned; null when none was.",
        },
    },
    example={
        "origin": "countersign.example/log/0198c2a0-0000-7000-8000-000000000000",
        "size": 5,
        "root": "0" * 64,
        "at": "2030-01-31T12:00:00.000000+00:00",
        "checkpoint": "…",
        "vkeys": ["…"],
        "witnessed": None,
    },
)
_PROOF = component(
    "RecordProof",
    {
        "record": _ID,
        "index": {"type": "integer", "minimum": 0, "description": "The leaf's place in the log."},
        "entry": {"type": "string", "description": "The leaf in canonical JSON (RFC 8785): the bytes that are hashed."},
        "proof": {"type": "string", "description": "C2SP tlog-proof: index, hashes and checkpoint as one text."},
        "vkeys": {"type": "array", "items": {"type": "string"}, "description": "Verifier keys, newest first."},
    },
    example={
        "record": "0198c2a0-0000-7000-8001-000000000000",
        "index": 3,
        "entry": "{}",
        "proof": "c2sp.org/tlog-proof@v1\nindex 3\n…",
        "vkeys": ["…"],
    },
)


class Head(View):
    """The head of the tenant's log."""

    @call("getCheckpoint", "Read the log's checkpoint", answer=_HEAD, refusals=(404,))
    def get(self, request: Request) -> Response:
        """Return the last signed checkpoint. Keep it: a log that is rewritten no longer leads on from it."""
        self.require("audit:read")
        with self.scope():
            log, signed = proving.head_of(self.principal.tenant_id)
            note = proving.cosigned(log, signed)
            witnessed = proving.witnessed(log, signed)
        head = signed.head
        return Response(
            {
                "origin": head.origin,
                "size": head.size,
                "root": head.root.hex(),
                "at": signed.at.isoformat(),
                "checkpoint": note.decode(),
                "vkeys": proving.vkeys(log),
                "witnessed": witnessed and {"size": witnessed[0].size, "checkpoint": witnessed[1].decode()},
            }
        )


class Proof(View):
    """The proof of one record."""

    @call(
        "getRecordProof",
        "Prove that a record is in the log",
        answer=_PROOF,
        path={"record_id": "The record's id."},
        refusals=(404, 409),
    )
    def get(self, request: Request, record_id: str) -> Response:
        """Return what proves the record offline, under the last checkpoint. Leaves a record itself."""
        with self.scope():
            record = found(Record.objects.all(), id=identifier(record_id))
            self.require("audit:read")
            log, proof, entry = proving.proof_of(record.tenant_id, record.id)
            search.leave_record(actor=self.principal.actor, facts={"record": str(record.id), "proof": True})
        return Response(
            {
                "record": str(record.id),
                "index": proof.index,
                "entry": entry.decode(),
                "proof": proof.text,
                "vkeys": proving.vkeys(log),
            }
        )

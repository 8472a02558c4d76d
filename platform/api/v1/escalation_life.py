"""Whose an escalation is while it waits, taking an answer back, and deciding on many at once."""

from typing import Any
from uuid import UUID

from django.db import connection
from rest_framework.request import Request
from rest_framework.response import Response

from api.bodies import NOTHING, Body, instant
from api.errors import NotFound
from api.schema import call, component
from api.v1.escalations import ONE, PATH, One
from api.views import View, found, identifier
from db.errors import Refusal
from escalations.actions import answers, bulk, life
from escalations.actions.bulk import Item
from quotas import refusals

Json = Any

_TIME = {"type": "string", "format": "date-time"}
_TO = Body(
    {
        "type": "object",
        "properties": {"to": {"type": "string", "maxLength": 254, "description": "E-mail address of a member."}},
        "required": ["to"],
        "additionalProperties": False,
    },
    example={"to": "rita@acme.example"},
)
_UNTIL = Body(
    {"type": "object", "properties": {"until": _TIME}, "required": ["until"], "additionalProperties": False},
    example={"until": "2030-01-31T12:00:00Z"},
)
_MANY = Body(
    {
        "type": "object",
        "properties": {
            "decision": {"type": "string", "enum": list(bulk.DECISIONS)},
            "items": {
                "type": "array",
                "minItems": 1,
                "maxItems": bulk.MOST,
                "items": {
                    "type": "object",
                    "properties": {
                        "id": {"type": "string", "format": "uuid", "maxLength": 36},
                        "digest": {"type": "string", "maxLength": 64, "description": "Of the proposal looked at."},
                    },
                    "required": ["id", "digest"],
                    "additionalProperties": False,
                },
            },
            "reason": {"type": ["string", "null"], "maxLength": 4000},
        },
        "required": ["decision", "items"],
        "additionalProperties": False,
    },
    example={"decision": "reject", "items": [{"id": "0196a2f0-0000-7000-8000-000000000000", "digest": "9f86…"}]},
)
_DECIDED = component(
    "DecidedTogether",
    {
        "results": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "id": {"type": "string"},
                    "status": {"type": "integer", "description": "What deciding on it alone would have answered."},
                    "code": {"type": ["string", "null"]},
                    "detail": {"type": ["string", "null"]},
                },
                "required": ["id", "status", "code", "detail"],
            },
        }
    },
)


class Claim(One):
    """Who is at an escalation."""

    @call("claimEscalation", "Claim an escalation", answer=ONE, body=NOTHING, path=PATH, refusals=(404, 409))
    def post(self, request: Request, escalation_id: str) -> Response:
        """Say that you are at it. Others may decide it all the same."""
        with self.scope():
            seen = found(self.visible(), id=identifier(escalation_id))
            self.require("escalations:decide")
            self.body(NOTHING)
            life.claim(seen.id, acting_as=self.principal)
            return Response(self.read(escalation_id))


class Release(One):
    """Back to the queue."""

    @call("releaseEscalation", "Release an escalation", answer=ONE, body=NOTHING, path=PATH, refusals=(404, 409))
    def post(self, request: Request, escalation_id: str) -> Response:
        """Give it back to its queue: yours, or anybody's for owners and operators."""
        with self.scope():
            seen = found(self.visible(), id=identifier(escalation_id))
            self.require("escalations:decide")
            self.body(NOTHING)
            life.release(seen.id, acting_as=self.principal)
            return Response(self.read(escalation_id))


class Assign(One):
    """To somebody else."""

    @call("assignEscalation", "Assign an escalation", answer=ONE, body=_TO, path=PATH, refusals=(404, 409))
    def post(self, request: Request, escalation_id: str) -> Response:
        """Give it to a member who may decide it."""
        with self.scope():
            seen = found(self.visible(), id=identifier(escalation_id))
            self.require("escalations:decide")
            life.assign(seen.id, self.body(_TO)["to"], acting_as=self.principal)
            return Response(self.read(escalation_id))


class Snooze(One):
    """Later."""

    @call("snoozeEscalation", "Snooze an escalation", answer=ONE, body=_UNTIL, path=PATH, refusals=(404, 409))
    def post(self, request: Request, escalation_id: str) -> Response:
        """Say that nobody need look before that time; it is no later than when an answer is due."""
        with self.scope():
            seen = found(self.visible(), id=identifier(escalation_id))
            self.require("escalations:decide")
            until = instant(self.body(_UNTIL)["until"], "/until")
            life.snooze(seen.id, until, acting_as=self.principal)
            return Response(self.read(escalation_id))


class Undo(One):
    """An answer taken back."""

    @call("undoDecision", "Take an answer back", answer=ONE, body=NOTHING, path=PATH, refusals=(404, 409))
    def post(self, request: Request, escalation_id: str) -> Response:
        """Take your own answer back before `effective_at`; the escalation is open again."""
        with self.scope():
            seen = found(self.visible(), id=identifier(escalation_id))
            self.require("escalations:decide")
            self.body(NOTHING)
            answers.undo(seen.id, acting_as=self.principal)
            return Response(self.read(escalation_id))


class DecideMany(View):
    """One answer to many escalations."""

    @call("decideEscalations", "Decide many escalations", answer=_DECIDED, body=_MANY)
    def post(self, request: Request) -> Response:
        """Give the same answer to each escalation named, by itself: one that is refused keeps no other from it.

        What is at stake highly must have been opened by you before (`not_opened`).
        """
        self.require("escalations:decide")
        body = self.body(_MANY)
        try:
            results = [self._decide(each, body["decision"], body.get("reason")) for each in body["items"]]
        finally:
            connection.close()
        return Response({"results": results})

    def _decide(self, item: Json, decision: str, reason: str | None) -> Json:
        try:
            escalation_id: UUID = identifier(item["id"])
            bulk.decide(Item(escalation_id, item["digest"]), decision, reason=reason, acting_as=self.principal)
        except Refusal as error:
            hidden = error.status == 404
            shown: Refusal = NotFound() if hidden else error
            if shown.status == 403:
                self._record(shown)
            return {"id": item["id"], "status": shown.status, "code": shown.code, "detail": str(shown)}
        return {"id": item["id"], "status": 200, "code": None, "detail": None}

    def _record(self, refusal: Refusal) -> None:
        """One of many that is refused leaves the record that it would have left alone."""
        route = "api:escalations-decide"
        refusals.record(self.principal, refusal, route=route, method="POST", code=refusal.code)

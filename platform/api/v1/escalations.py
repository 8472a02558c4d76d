"""Escalations: what waits for a person, and the answer."""

from dataclasses import replace
from typing import Any

from django.db.models import Q, QuerySet
from django.db.models.functions import Now
from rest_framework.request import Request
from rest_framework.response import Response

from api.bodies import Body
from api.errors import Fault, InvalidBody
from api.queries import Page, Query
from api.schema import PAGING, call, component, nullable, page_of, query
from api.views import View, found, identifier
from escalations.actions import decisions, life
from escalations.models import Escalation
from escalations.models.escalation import TRANSITIONS
from escalations.permissions import visible
from escalations.presenters import beside_json, escalations_json, evidence_json, with_votes
from learning.actions import cases
from tenants.models import Membership

Json = Any

STATUSES = sorted({status for status, _ in TRANSITIONS} | set(TRANSITIONS.values()))
KINDS = ("tool_call", "output", "question", "budget", "reconcile", "appeal")
ORDERS = {"newest": ("requested_at", "id"), "priority": ("urgency", "id")}
_FILTERS = ("status", "kind", "queue", "due_before", "assignee", "snoozed", "order", "limit", "cursor")

_ANSWER = Body(
    {
        "type": "object",
        "properties": {
            "decision": {"type": "string", "enum": list(decisions.DECISIONS), "description": "One of its `allowed`."},
            "digest": {"type": "string", "maxLength": 64, "description": "Of the proposal that was looked at."},
            "reason": {"type": ["string", "null"], "maxLength": 4000, "description": "Why."},
            "message": {"type": ["string", "null"], "maxLength": 20_000, "description": "What the model is told."},
            "output": {"description": "The result of the call, for `reconcile`; for `edit` of an output, the new one."},
            "arguments": {
                "type": "object",
                "description": "The call's, for `edit`: all of them, the old ones are gone.",
            },
            "keep_as_case": {
                "type": "boolean",
                "default": False,
                "description": "Whether an edit, a rejection or an upheld appeal is kept as a case of the agent.",
            },
        },
        "required": ["decision", "digest"],
        "additionalProperties": False,
    },
    example={"decision": "approve", "digest": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"},
)

_ID = {"type": "string", "format": "uuid"}
_TIME = {"type": "string", "format": "date-time"}
_TEXT_OR_NULL = {"type": ["string", "null"]}
_PROPERTIES: dict[str, Json] = {
    "id": _ID,
    "kind": {"type": "string", "enum": list(KINDS)},
    "status": {"type": "string", "enum": STATUSES},
    "run": _ID,
    "reason": {"type": "string", "description": "A stable code."},
    "detail": {**_TEXT_OR_NULL, "description": "The reason in a sentence."},
    "rule": _TEXT_OR_NULL,
    "queue": _TEXT_OR_NULL,
    "proposal": {
        "type": "object",
        "properties": {"tool": {}, "arguments": {}, "output": {}, "digest": {"type": "string"}},
        "required": ["digest"],
    },
    "requested_at": _TIME,
    "due_at": nullable(_TIME),
    "overdue_at": nullable({**_TIME, "description": "When it was found overdue, with no queue left to go to."}),
    "expires_at": nullable({**_TIME, "description": "When it is denied if nobody has decided."}),
    "priority": {"type": "integer", "minimum": 0, "maximum": 100, "description": "What is at stake: 100 is most."},
    "assignee": {**_TEXT_OR_NULL, "description": "Who is to answer it, by e-mail."},
    "claimed_by": {**_TEXT_OR_NULL, "description": "Who is at it, by e-mail. Others may decide it all the same."},
    "snoozed_until": nullable(_TIME),
    "former_queues": {"type": "array", "items": {"type": "string"}, "description": "Where it was before it was due."},
    "approvals": {
        "type": "object",
        "properties": {"required": {"type": "integer"}, "given": {"type": "integer"}},
        "required": ["required", "given"],
        "additionalProperties": False,
    },
    "allowed": {"type": "array", "items": {"type": "string", "enum": list(decisions.DECISIONS)}},
    "decision": _TEXT_OR_NULL,
    "decided_at": nullable(_TIME),
    "effective_at": nullable({**_TIME, "description": "When the answer takes effect; until then it can be undone."}),
    "can_be_undone": {"type": "boolean"},
}
_LISTED = component("Escalation", _PROPERTIES)
ONE = component(
    "EscalationWithEvidence",
    {
        **_PROPERTIES,
        "consequences": {
            "type": "object",
            "additionalProperties": _TEXT_OR_NULL,
            "description": "What comes of each answer, for people.",
        },
        "cost_usd": {"type": "string", "description": "What the run has cost so far."},
        "evidence": {
            "type": "array",
            "description": "What the run had read and done when it asked, in order.",
            "items": {
                "type": "object",
                "properties": {"seq": {"type": "integer"}, "type": {"type": "string"}, "tool": _TEXT_OR_NULL},
                "required": ["seq", "type", "tool"],
            },
        },
    },
)
_PAGE = page_of("EscalationPage", _LISTED)
PATH = {"escalation_id": "The escalation's id."}


class Escalations(View):
    """What the principal may see of the tenant's escalations."""

    @call(
        "listEscalations",
        "List escalations",
        answer=_PAGE,
        parameters=(
            query("status", "In this status.", {"type": "string", "enum": STATUSES}),
            query("kind", "Of this kind.", {"type": "string", "enum": list(KINDS)}),
            query("queue", "In the queue with this slug."),
            query("due_before", "Due earlier than this time.", _TIME),
            query("assignee", "Assigned to the member with this e-mail address; `me` for who asks, `none` for nobody."),
            query("snoozed", "Whether it is snoozed at this moment.", {"type": "string", "enum": ["yes", "no"]}),
            query("order", "`priority`: the most urgent first.", {"type": "string", "enum": list(ORDERS)}),
            *PAGING,
        ),
        refusals=(400, 422),
    )
    def get(self, request: Request) -> Response:
        """List what the principal may see: of their queues, agents and requests, or all by role; newest first.

        Most urgent first, if so wanted: by what is at stake and how long it has waited, an order that stays as it is.
        """
        self.require("escalations:read")
        wanted = Query(self.plain_request, _FILTERS)
        order = wanted.choice("order", ORDERS) or "newest"
        page = Page(wanted, name=f"escalations.{order}.{self.principal.tenant_id}", by=ORDERS[order])
        with self.scope():
            rows = visible(self.principal)
            for field, value in (
                ("status", wanted.choice("status", STATUSES)),
                ("kind", wanted.choice("kind", KINDS)),
                ("queue", wanted.text("queue")),
                ("due_at__lt", wanted.instant("due_before")),
            ):
                rows = rows if value is None else rows.filter(**{field: value})
            rows = self._assigned(rows, wanted.text("assignee"))
            if (snoozed := wanted.choice("snoozed", ("yes", "no"))) is not None:
                asleep = Q(snoozed_until__gt=Now(), status="open")
                rows = rows.filter(asleep) if snoozed == "yes" else rows.exclude(asleep)
            return Response(page.of(with_votes(rows), self._render))

    def _assigned(self, rows: "QuerySet[Escalation]", assignee: str | None) -> "QuerySet[Escalation]":
        if assignee is None:
            return rows
        if assignee == "none":
            return rows.filter(assignee_id__isnull=True)
        if assignee == "me":
            return rows.filter(assignee_id=self.principal.user_id)
        member = Membership.objects.filter(user__email=assignee.strip().lower()).values_list("user_id", flat=True)
        return rows.filter(assignee_id__in=list(member))

    def _render(self, listed: list[Escalation]) -> list[Json]:
        return escalations_json(listed, payloads=self.shows_payloads)


class One(View):
    """One escalation as the calls find and answer it."""

    def visible(self) -> "QuerySet[Escalation]":
        """Return what the principal's role lets them see; a key that may decide but not list sees what it decides."""
        return visible(replace(self.principal, scopes=None))

    def read(self, escalation_id: str) -> Json:
        """Return the escalation as the calls answer it."""
        escalation = found(with_votes(self.visible()), id=identifier(escalation_id))
        evidence = evidence_json(escalation, payloads=self.shows_payloads)
        shown = escalations_json([escalation], payloads=self.shows_payloads)[0]
        return {**shown, **beside_json(escalation), "evidence": evidence}


class OneEscalation(One):
    """One escalation."""

    @call("getEscalation", "Read an escalation", answer=ONE, path=PATH, refusals=(404,))
    def get(self, request: Request, escalation_id: str) -> Response:
        """Return what is proposed, why a person is asked, and the evidence. It is kept who has opened it so."""
        with self.scope():
            escalation = found(self.visible(), id=identifier(escalation_id))
            self.require("escalations:read")
            life.note_opened(escalation, acting_as=self.principal)
            return Response(self.read(escalation_id))


class Decide(One):
    """The answer to an escalation."""

    @call(
        "decideEscalation",
        "Decide an escalation",
        answer=ONE,
        body=_ANSWER,
        path=PATH,
        refusals=(404, 409, 412),
    )
    def post(self, request: Request, escalation_id: str) -> Response:
        """Give an answer. It names the digest of what was looked at, so that nothing else is decided.

        An answer to a question that needs several approvals counts as one of them.
        """
        with self.scope():
            seen = found(self.visible(), id=identifier(escalation_id))
            self.require("escalations:decide")
            decisions.check(seen.id, acting_as=self.principal)
            body = self.body(_ANSWER)
            decisions.decide(seen.id, self._answer(body), acting_as=self.principal)
            if body.get("keep_as_case"):
                cases.keep(seen.id, acting_as=self.principal)
            return Response(self.read(escalation_id))

    def _answer(self, body: dict[str, Json]) -> decisions.Answer:
        if "arguments" in body and body["decision"] != "edit":
            raise InvalidBody(faults=[Fault("/arguments", "Only `edit` takes arguments; what is proposed stands.")])
        return decisions.Answer(
            decision=body["decision"],
            digest=body["digest"],
            reason=body.get("reason"),
            message=body.get("message"),
            output=body.get("output"),
            arguments=body.get("arguments"),
        )

"""Runs: start, list, read, end. What happens in one: `run_events`."""

import hashlib
import json
import re
from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from rest_framework.request import Request
from rest_framework.response import Response

from access import permissions
from agents.actions import runs
from agents.core.lifecycle import TERMINAL, TRANSITIONS
from agents.core.shapes import SLUG
from agents.models import Run
from agents.presenters import runs_json, with_names
from api.bodies import NOTHING, Body, instant
from api.errors import BadHeader, Fault, InvalidBody
from api.queries import Page, Query
from api.schema import PAGING, answer_header, call, component, header, nullable, page_of, query
from api.views import View, found, identifier
from escalations.actions import appeals
from escalations.models import Escalation
from learning import links
from learning.actions import feedback
from learning.models import Feedback
from webhooks import secrets_of, signing
from webhooks.actions import endpoints
from webhooks.errors import BadUrl

Json = Any

STATUSES = sorted({status for status, _ in TRANSITIONS} | TERMINAL)
APPEALED = ("none", "open", "upheld", "rejected", "expired", "withdrawn")
MAX_METADATA = 16
MAX_VERSION = 2**31 - 1

_KEY = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,253}[\x21-\x7e])?\Z")

_START = Body(
    {
        "type": "object",
        "properties": {
            "agent": {
                "type": "string",
                "pattern": SLUG,
                "description": "Its slug.",
            },
            "input": {"description": "JSON that fits the agent's input schema."},
            "version": {
                "type": "integer",
                "minimum": 1,
                "maximum": MAX_VERSION,
                "description": "Instead of the live one.",
            },
            "on_behalf_of": {"type": "string", "maxLength": 254, "description": "E-mail address of a member."},
            "budget": {
                "type": "object",
                "properties": {
                    "usd": {"type": "string", "pattern": "^[0-9]{1,6}(?:\\.[0-9]{1,9})?$"},
                    "tokens": {"type": "integer", "minimum": 1, "maximum": 2**53 - 1},
                },
                "additionalProperties": False,
                "description": "Caps below the agent's own.",
            },
            "deadline": {"type": "string", "format": "date-time"},
            "callback_url": {
                "type": "string",
                "maxLength": 2000,
                "description": "Where the run's end is sent, signed with the `callback_secret` of the answer.",
            },
            "metadata": {
                "type": "object",
                "maxProperties": MAX_METADATA,
                "propertyNames": {"minLength": 1, "maxLength": 64},
                "additionalProperties": {"type": "string", "maxLength": 500},
                "description": "Yours to filter by; put nothing about a person in it.",
            },
            "feedback_link": {
                "type": "boolean",
                "default": False,
                "description": "Whether the result is told with a link by which users say what they think of it.",
            },
            "priority": {"type": "integer", "minimum": -100, "maximum": 100, "default": 0},
        },
        "required": ["agent", "input"],
        "additionalProperties": False,
    },
    example={"agent": "loan-review", "input": {"application_id": "A-1", "customer_id": "CUST-1"}},
)

_ID = {"type": "string", "format": "uuid"}
_TIME = {"type": "string", "format": "date-time"}
STARTED = component(
    "StartedRun",
    {
        "id": _ID,
        "status": {"type": "string", "enum": STATUSES},
        "agent": {"type": "string"},
        "version": {"type": "integer"},
        "created_at": _TIME,
        "links": {
            "type": "object",
            "properties": {name: {"type": "string"} for name in ("self", "events", "stream")},
            "required": ["self", "events", "stream"],
            "additionalProperties": False,
        },
        "callback_secret": {"type": "string", "description": "Signs what is sent to `callback_url`, if one was given."},
        "deduplicated": {
            "type": "boolean",
            "description": "True when an identical request within the agent's window has started this run.",
        },
    },
    optional=("callback_secret", "deduplicated"),
)
_TOKENS = ("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
_COUNTED = (*_TOKENS, "model_calls", "tool_calls")
RUN = component(
    "Run",
    {
        "id": _ID,
        "agent": {"type": "string"},
        "version": {"type": "integer"},
        "status": {"type": "string", "enum": STATUSES},
        "waiting_for": {"type": ["string", "null"], "enum": ["decision", "timer", "child", "provider", None]},
        "doing": {"type": ["string", "null"], "description": "The step in progress, for people."},
        "created_at": _TIME,
        "ended_at": nullable(_TIME),
        "output": {"description": "Null before the end, and for viewers."},
        "error": {
            "type": ["object", "null"],
            "properties": {
                "code": {"type": ["string", "null"]},
                "detail": {"type": ["string", "null"]},
                "suggestion": {"type": ["string", "null"]},
            },
            "required": ["code", "detail", "suggestion"],
            "additionalProperties": False,
        },
        "usage": {
            "type": "object",
            "properties": {name: {"type": "integer"} for name in _COUNTED},
            "required": list(_COUNTED),
            "additionalProperties": False,
        },
        "cost_usd": {"type": "string", "examples": ["0.0123"]},
        "metadata": {"type": "object", "additionalProperties": {"type": "string"}},
        "retry_of": nullable({**_ID, "description": "The run that this one tries again."}),
        "parent": nullable({**_ID, "description": "The run that this one is part of."}),
        "escalations": {"type": "array", "items": _ID},
        "children": {"type": "array", "items": _ID},
        "appeal": {
            "type": "object",
            "description": "Of one run: whether, how and until when it can be appealed against, and what came of it.",
            "properties": {
                "allowed": {"type": "boolean", "description": "At this moment."},
                "why_not": {"type": ["string", "null"]},
                "how": {"type": ["string", "null"]},
                "until": nullable(_TIME),
                "to": {"type": ["string", "null"], "description": "The queue that decides."},
                "status": {"type": "string", "enum": list(APPEALED)},
                "escalation": nullable(_ID),
                "reversal": nullable({**_ID, "description": "The run that undoes what this one did."}),
            },
            "required": ["allowed", "why_not", "how", "until", "to", "status", "escalation", "reversal"],
            "additionalProperties": False,
        },
        "feedback": {
            "type": "object",
            "description": "Of one run: how many said what they think of its output, and the link for it, if wished.",
            "properties": {
                "given": {"type": "integer"},
                "link": {"type": ["string", "null"]},
                "until": nullable({**_TIME, "description": "When the link ends."}),
            },
            "required": ["given", "link", "until"],
            "additionalProperties": False,
        },
    },
    optional=("appeal", "feedback"),
)
_RUNS = page_of("RunPage", RUN)
PATH = {"run_id": "The run's id."}


class Runs(View):
    """All runs of the tenant."""

    @call(
        "startRun",
        "Start a run",
        status=202,
        answer=STARTED,
        body=_START,
        parameters=(
            header("Idempotency-Key", "Up to 255 printable ASCII characters; the same key and body name the same run."),
            answer_header("Location", "The run's address.", 202),
        ),
        refusals=(404, 409),
    )
    def post(self, request: Request) -> Response:
        """Queue a run; the answer comes at once, the work is done in the background.

        Repeat a call that got no answer with the same `Idempotency-Key`: it makes no second run. Nor does an identical
        call without a key within the window that the agent's `limits.dedupe_s` sets.
        """
        self.require("runs:write")
        body = self.body(_START)
        key = idempotency_key(self.plain_request)
        with self.scope():
            wanted = _wanted(body, key)
            started = started_json(runs.submit(wanted, acting_as=self.principal))
            if body.get("feedback_link"):
                feedback.wish(UUID(started["id"]), acting_as=self.principal)
            if wanted.callback_url is not None:
                started["callback_secret"] = signing.written(secrets_of.of_callback(UUID(started["id"])))
        return Response(started, status=202, headers={"Location": started["links"]["self"]})

    @call(
        "listRuns",
        "List runs, newest first",
        answer=_RUNS,
        parameters=(
            query("status", "In this status.", {"type": "string", "enum": STATUSES}),
            query("agent", "Of the agent with this slug."),
            query("created_after", "Created later than this time.", _TIME),
            query("created_before", "Created earlier than this time.", _TIME),
            query("metadata.KEY", "With this value under KEY of its metadata."),
            *PAGING,
        ),
        refusals=(400, 422),
    )
    def get(self, request: Request) -> Response:
        """List runs, newest first."""
        self.require("runs:read")
        known = ("status", "agent", "created_after", "created_before", "limit", "cursor")
        wanted = Query(self.plain_request, known, prefix="metadata.")
        page = Page(wanted, name=f"runs.{self.principal.tenant_id}")
        with self.scope():
            return Response(page.of(_filtered(wanted), self._render))

    def _render(self, listed: list[Run]) -> list[Json]:
        return shown(listed, payloads=self.shows_payloads)


class OneRun(View):
    """One run."""

    @call("getRun", "Read a run", answer=RUN, path=PATH, refusals=(404,))
    def get(self, request: Request, run_id: str) -> Response:
        """Return where the run stands, and its output or error once it has ended."""
        with self.scope():
            run = seen(run_id)
            self.require("runs:read")
            told = shown([run], payloads=self.shows_payloads, appeal=True)[0]
            return Response({**told, "feedback": _feedback_json(run, shows_link=self._shows_link)})

    @property
    def _shows_link(self) -> bool:
        """Whether the one who asks may give feedback, and so may hand on the link to it."""
        return permissions.can(self.principal, "runs:write")


class Cancel(View):
    """The end of a run before its time."""

    @call("cancelRun", "Cancel a run", status=202, answer=RUN, body=NOTHING, path=PATH, refusals=(404, 409))
    def post(self, request: Request, run_id: str) -> Response:
        """Ask for the run's end; it comes after the step it is in."""
        with self.scope():
            run = seen(run_id)
            self.require("runs:write")
            self.body(NOTHING)
            run = runs.cancel(run.id, acting_as=self.principal)
            return Response(shown([run], payloads=self.shows_payloads)[0], status=202)


def seen(run_id: str) -> Run:
    """Return the run of the tenant in scope that the address names; raises `NotFound`."""
    return found(Run.objects.select_related("agent", "version"), id=identifier(run_id))


def _filtered(wanted: Query) -> "QuerySet[Run]":
    rows = with_names(Run.objects.all())
    if status := wanted.choice("status", STATUSES):
        rows = rows.filter(status=status)
    if (slug := wanted.text("agent")) is not None:
        rows = rows.filter(agent__slug=slug)
    if after := wanted.instant("created_after"):
        rows = rows.filter(created_at__gt=after)
    if before := wanted.instant("created_before"):
        rows = rows.filter(created_at__lt=before)
    if metadata := wanted.prefixed():
        rows = rows.filter(metadata__contains=metadata)
    return rows


def shown(listed: list[Run], *, payloads: bool, appeal: bool = False) -> list[Json]:
    """Return runs as the calls answer them. appeal: with what can be said of appeals."""
    told = runs_json(listed, _escalations(run.id for run in listed), payloads=payloads)
    if appeal:
        for run, each in zip(listed, told, strict=True):
            each["appeal"] = appeal_json(run)
    return told


def appeal_json(run: Run) -> Json:
    """Return whether, how and until when a run can be appealed against, and what came of it."""
    found = appeals.of(run)
    allowed = found.why_not is None
    return {
        "allowed": allowed,
        "why_not": found.why_not,
        "how": f"POST {reverse('api:run-appeal', kwargs={'run_id': str(run.id)})} {{reason}}" if allowed else None,
        "until": found.until.isoformat() if found.until else None,
        "to": found.to,
        "status": found.status,
        "escalation": str(found.escalation) if found.escalation else None,
        "reversal": str(found.reversal) if found.reversal else None,
    }


def _feedback_json(run: Run, *, shows_link: bool) -> Json:
    link = feedback.link_of(run) if shows_link else None
    return {
        "given": Feedback.objects.filter(run_id=run.id).count(),
        "link": links.address(link) if link else None,
        "until": link.until.isoformat() if link else None,
    }


def _escalations(run_ids: Iterable[UUID]) -> dict[UUID, list[str]]:
    by_run: dict[UUID, list[str]] = {}
    rows = Escalation.objects.filter(run_id__in=list(run_ids)).order_by("requested_at", "id")
    for run_id, escalation_id in rows.values_list("run_id", "id"):
        by_run.setdefault(run_id, []).append(str(escalation_id))
    return by_run


def _wanted(body: dict[str, Json], idempotency_key: str | None) -> runs.Request:
    budget = body.get("budget", {})
    tokens, version = budget.get("tokens"), body.get("version")
    return runs.Request(
        agent=body["agent"],
        input=body["input"],
        version=None if version is None else int(version),  # JSON Schema takes 2.0 for an integer
        on_behalf_of=body.get("on_behalf_of"),
        budget_usd=budget.get("usd"),
        budget_tokens=None if tokens is None else int(tokens),
        deadline=instant(body["deadline"], "/deadline") if "deadline" in body else None,
        metadata=body.get("metadata"),
        callback_url=_callback_url(body),
        priority=int(body.get("priority", 0)),
        idempotency_key=idempotency_key,
        digest=_digest(body) if idempotency_key else None,
        deduplicate=True,
    )


def _callback_url(body: dict[str, Json]) -> str | None:
    url: str | None = body.get("callback_url")
    if url is not None:
        try:
            endpoints.check_url(url)
        except BadUrl as error:
            raise InvalidBody(faults=[Fault("/callback_url", str(error))]) from error
    return url


def _digest(body: dict[str, Json]) -> str:
    """Return the SHA-256 (hex) of what is asked for, whatever the order of its keys and its white space."""
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def idempotency_key(request: HttpRequest) -> str | None:
    """Return the client's key, if it sent one; raises `BadHeader`."""
    key = request.headers.get("Idempotency-Key")
    if key is not None and not _KEY.match(key):
        raise BadHeader("`Idempotency-Key` is 1 to 255 printable ASCII characters.")
    return key


def started_json(submitted: runs.Submitted) -> dict[str, Json]:
    """Return what is said of a run that was just started."""
    run = submitted.run
    here = {"run_id": str(run.id)}
    twin = {"deduplicated": True} if submitted.deduplicated else {}
    return twin | {
        "id": str(run.id),
        "status": run.status,
        "agent": submitted.agent,
        "version": submitted.version,
        "created_at": run.created_at.isoformat(),
        "links": {
            "self": reverse("api:run", kwargs=here),
            "events": reverse("api:run-events", kwargs=here),
            "stream": reverse("api:run-stream", kwargs=here),
        },
    }

"""The log as files to take away."""

import re
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

from django.http import HttpResponse, HttpResponseBase
from django.urls import reverse
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from api.bodies import Body, instant
from api.errors import Fault, InvalidBody
from api.queries import Page, Query
from api.records import ACTION, ACTOR, RECORD_ID, SUBJECT
from api.schema import PAGING, answer_header, call, component, header, nullable, page_of
from api.views import View, found, identifier
from audit.exports.rows import Filter
from exports import download
from exports.actions import exports
from exports.actions.exports import ALL_FORMATS, Asked
from exports.models import Export
from tenants.actions import members
from tenants.errors import UnknownMember

Json = Any

_ID = {"type": "string", "format": "uuid"}
_TIME = {"type": "string", "format": "date-time"}
_WHO = "an opaque id, or a member's e-mail address."
_FILTER = {
    "type": "object",
    "properties": {
        "actor": {"type": "string", "maxLength": 320, "description": f"Done by this one: {_WHO}"},
        "action": {"type": "string", "maxLength": 121, "description": "Of this type, such as `tool.finished`."},
        "subject": {"type": "string", "maxLength": 320, "description": f"Concerning this one: {_WHO}"},
        "run": {"type": "string", "maxLength": 36, "description": "Of this run."},
    },
    "additionalProperties": False,
}
_END = {"type": ["string", "null"], "maxLength": 40}
_ASK = Body(
    {
        "type": "object",
        "properties": {
            "from": {**_END, "description": "The first day in UTC, or the earliest time; null for the beginning."},
            "to": {**_END, "description": "The last day in UTC, or the time before which; null for now."},
            "format": {"type": "string", "enum": list(ALL_FORMATS), "default": exports.BUNDLE},
            "filter": {**_FILTER, "description": "What is wanted of the period; not for a bundle."},
            "payloads": {"type": "boolean", "default": True, "description": "With what concerns people."},
        },
        "additionalProperties": False,
    },
    example={"from": "2030-01-01", "to": "2030-01-31", "format": "bundle"},
)
_EXPORT = component(
    "Export",
    {
        "id": _ID,
        "status": {"type": "string", "enum": ["queued", "running", "ready", "failed", "expired"]},
        "format": {"type": "string", "enum": list(ALL_FORMATS)},
        "from": nullable(_TIME),
        "to": nullable(_TIME),
        "filter": {"type": "object", "additionalProperties": {"type": "string"}},
        "payloads": {"type": "boolean"},
        "asked_by": {"type": "string", "description": "Who asked for it, as an opaque id."},
        "records": {
            "type": "object",
            "properties": {
                "done": {"type": "integer", "minimum": 0},
                "total": {"type": ["integer", "null"], "description": "null while it is not known."},
            },
            "required": ["done", "total"],
            "additionalProperties": False,
        },
        "percent": {"type": "integer", "minimum": 0, "maximum": 100},
        "waits_for": {
            "type": ["string", "null"],
            "enum": ["writers", "seal", None],
            "description": "What making it waits for: transactions that are writing records, or the log's seal.",
        },
        "bytes": {"type": "integer", "minimum": 0, "description": "Of the file, as far as it is made."},
        "created_at": _TIME,
        "ready_at": nullable(_TIME),
        "expires_at": nullable({**_TIME, "description": "Until when it is kept."}),
        "error": {
            "type": ["object", "null"],
            "properties": {"code": {"type": "string"}, "detail": {"type": "string"}},
            "required": ["code", "detail"],
            "additionalProperties": False,
        },
        "links": {
            "type": "object",
            "properties": {"self": {"type": "string"}, "download": {"type": "string"}},
            "required": ["self", "download"],
            "additionalProperties": False,
        },
    },
)
_PAGE = page_of("ExportPage", _EXPORT)
_PATH = {"export_id": "The export's id."}


class Exports(View):
    """The tenant's exports."""

    @call("listExports", "List exports, newest first", answer=_PAGE, parameters=PAGING, refusals=(400, 422))
    def get(self, request: Request) -> Response:
        """List what was exported; what became of it stays listed after its bytes are gone."""
        self.require("audit:export")
        page = Page(Query(self.plain_request, ("limit", "cursor")), name=f"exports.{self.principal.tenant_id}")
        with self.scope():
            return Response(page.of(Export.objects.all(), lambda listed: [_json(each) for each in listed]))

    @call("createExport", "Export a part of the log", status=202, answer=_EXPORT, body=_ASK, refusals=(409,))
    def post(self, request: Request) -> Response:
        """Have the records of a period made into a file, beside the runs; ask for its status under `links.self`.

        A bundle proves itself offline; csv, jsonl and ocsf are for reading and searching. Leaves a record itself.
        """
        self.require("audit:export")
        body = self.body(_ASK)
        with self.scope():
            asked = Asked(
                body.get("format", exports.BUNDLE),
                since=_moment(body, "from", 0),
                until=_moment(body, "to", 1),
                filter=_filter(body.get("filter", {})),
                payloads=body.get("payloads", True),
            )
            return Response(_json(exports.ask(asked, acting_as=self.principal)), status=202)


class OneExport(View):
    """One export."""

    @call("getExport", "Read an export's status", answer=_EXPORT, path=_PATH, refusals=(404,))
    def get(self, request: Request, export_id: str) -> Response:
        """Return how far it is made."""
        with self.scope():
            export = found(Export.objects.all(), id=identifier(export_id))
            self.require("audit:export")
            return Response(_json(export))

    @call("deleteExport", "Let an export go", status=204, path=_PATH, refusals=(404,))
    def delete(self, request: Request, export_id: str) -> HttpResponse:
        """Stop making it, or forget its bytes before their time. Leaves a record itself."""
        with self.scope():
            export = found(Export.objects.all(), id=identifier(export_id))
            self.require("audit:export")
            exports.withdraw(export.id, acting_as=self.principal)
        return HttpResponse(status=204)


class BytesRenderer(BaseRenderer):
    """Whatever the client says it takes: the bytes are what they are, and are not rendered."""

    media_type = "*/*"
    format = "bytes"


class Download(View):
    """The bytes of one export."""

    http_method_names = ["get", "head"]  # noqa: RUF012 - Django declares it so
    renderer_classes = (BytesRenderer,)

    @call(
        "downloadExport",
        "Download an export",
        also=206,
        answer={"type": "string", "format": "binary"},
        media_types=sorted({media.partition(";")[0] for media, _ in download.MEDIA.values()}),
        path=_PATH,
        parameters=(
            header("Range", "One range of bytes, to go on where a download broke off."),
            answer_header("ETag", "Names these bytes, for `If-Range`.", 200, 206),
        ),
        refusals=(404, 409, 410, 416),
    )
    def get(self, request: Request, export_id: str) -> HttpResponseBase:
        """Return the file, or a range of it. Each download leaves a record."""
        with self.scope():
            export = found(Export.objects.all(), id=identifier(export_id))
            self.require("audit:export")
            return download.answer(self.plain_request, export.id, acting_as=self.principal)


def _moment(body: dict[str, Json], key: str, days: int) -> datetime | None:
    """Return a day in UTC, plus `days`, or a time."""
    text = body.get(key)
    if text is None:
        return None
    if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        try:
            day = date.fromisoformat(text)
            return datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=days)
        except (ValueError, OverflowError) as error:
            raise InvalidBody(faults=[Fault(f"/{key}", "There is no such day.")]) from error
    return instant(text, f"/{key}")


def _filter(given: dict[str, str]) -> Filter:
    run = _matching(given, "run", RECORD_ID, "Write the id of a run.")
    return Filter(
        actor=_who(given, "actor", ACTOR, "user:…, key:… or system:… with its id, engine or anonymous"),
        action=_matching(given, "action", ACTION, "Write a type of record, such as agent.published."),
        subject=_who(given, "subject", SUBJECT, "a kind and an id, such as user:… or key:…"),
        run=UUID(run) if run else None,
    )


def _who(given: dict[str, str], key: str, form: re.Pattern[str], words: str) -> str | None:
    text = given.get(key)
    if text is not None and "@" in text:
        try:
            return f"user:{members.any_by_email(text).user_id}"
        except UnknownMember as error:
            raise InvalidBody(faults=[Fault(f"/filter/{key}", str(error))]) from error
    return _matching(given, key, form, f"Write {words}, or a member's e-mail address.")


def _matching(given: dict[str, str], key: str, form: re.Pattern[str], detail: str) -> str | None:
    text = given.get(key)
    if text is not None and not form.fullmatch(text):
        raise InvalidBody(faults=[Fault(f"/filter/{key}", detail)])
    return text


def _json(export: Export) -> dict[str, Json]:
    here = {"export_id": str(export.id)}
    return {
        "id": str(export.id),
        "status": export.status,
        "format": export.format,
        "from": export.since.isoformat() if export.since else None,
        "to": export.until.isoformat() if export.until else None,
        "filter": export.filter,
        "payloads": export.payloads,
        "asked_by": export.asked_by,
        "records": {"done": export.done, "total": export.total},
        "percent": export.percent,
        "waits_for": export.state.get("waits_for") if export.status in exports.OPEN else None,
        "bytes": export.size,
        "created_at": export.created_at.isoformat(),
        "ready_at": export.ready_at.isoformat() if export.ready_at else None,
        "expires_at": export.expires_at.isoformat() if export.expires_at else None,
        "error": {"code": export.error, "detail": export.detail or ""} if export.error else None,
        "links": {
            "self": reverse("api:audit-export", kwargs=here),
            "download": reverse("api:audit-download", kwargs=here),
        },
    }

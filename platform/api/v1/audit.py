"""The journal, to be read by those who answer for it. Each reading leaves a record of its own."""

import json
import re
from typing import Any
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from agents.core.events import BY_ACTION
from agents.presenters import payload_json
from api.errors import Fault, InvalidQuery
from api.queries import Page, Query
from api.records import ACTION, ACTOR, RECORD_ID, SUBJECT
from api.schema import PAGING, call, component, nullable, page_of, query
from api.views import View, found, identifier
from audit import search, terms
from audit.erased import why as erased_why
from audit.models import Record
from audit.search import Wanted
from tenants.actions import members
from tenants.errors import UnknownMember

Json = Any


_ID = {"type": "string", "format": "uuid"}
_TIME = {"type": "string", "format": "date-time"}
_TEXT = {"type": "string"}
_FACTS: dict[str, Json] = {
    "id": _ID,
    "at": _TIME,
    "v": {"type": "integer", "description": "Version of the shape that `facts` has for this action."},
    "action": {"type": "string", "description": "What happened, such as `agent.published` or `tool.finished`."},
    "actor": {"type": "string", "description": "Who, as an opaque id such as `user:…`, `key:…` or `engine`."},
    "subject": nullable({"type": "string", "description": "Whom or what else it concerned, as an opaque id."}),
    "stream": {**_ID, "description": "What it happened to: of a run's events, the run."},
    "seq": nullable({"type": "integer", "description": "Its number within the run; null beyond runs."}),
    "outcome": {"type": "string", "enum": ["ok", "denied", "failed"]},
    "facts": {"type": "object", "description": "Opaque ids, codes and numbers."},
    "commitment": nullable({"type": "string", "description": "Hex SHA-256 of salt and payload, if there was one."}),
}
_EXAMPLE: Json = {
    "id": "0198c2a0-0000-7000-8001-000000000000",
    "at": "2030-01-31T12:00:00.000000+00:00",
    "v": 1,
    "action": "agent.published",
    "actor": "user:0198c2a0-0000-7000-8000-000000000000",
    "subject": None,
    "stream": "0198c2a0-0000-7000-8000-000000000001",
    "seq": None,
    "outcome": "ok",
    "facts": {"version": 2, "from": 1},
    "commitment": None,
}
_PAGE = page_of("RecordPage", component("Record", _FACTS, example=_EXAMPLE))
_WHOLE = component(
    "WholeRecord",
    _FACTS
    | {
        "payload": {"description": "What the record commits to, people included; null when there is none to show."},
        "erased": {"type": "boolean", "description": "Whether there was a payload that has been erased."},
        "erased_why": nullable({"type": "string", "description": "On which request, or that its term ended."}),
    },
    example=_EXAMPLE | {"payload": None, "erased": False, "erased_why": None},
)


class Records(View):
    """The tenant's journal."""

    @call(
        "listRecords",
        "List records, newest first",
        answer=_PAGE,
        parameters=(
            query("actor", "Done by this one: an opaque id, `engine`, `anonymous` or a member's e-mail address."),
            query("action", "Of this type."),
            query("subject", "Concerning this one: an opaque id, or a member's e-mail address."),
            query("run", "Of this run.", _ID),
            query("from", "At this time or later.", _TIME),
            query("to", "Before this time.", _TIME),
            query("q", "With all of these words, whole, in facts or payload; in any order and case."),
            *PAGING,
        ),
        refusals=(400, 422),
    )
    def get(self, request: Request) -> Response:
        """List what happened in the tenant. Each page that is read leaves a record, `log.read`, itself."""
        self.require("audit:read")
        known = ("actor", "action", "subject", "run", "from", "to", "q", "limit", "cursor")
        given = Query(self.plain_request, known)
        page = Page(given, name=f"records.{self.principal.tenant_id}")
        with self.scope():
            wanted = _wanted(given)

            def find(after: str | None, limit: int) -> list[Record]:
                return search.page(wanted, before=UUID(after) if after else None, limit=limit)

            answer = page.of_found(find, lambda rows: [_json(row) for row in rows])
            facts = {"filters": wanted.facts(), "count": len(answer["results"]), "first": given.text("cursor") is None}
            search.leave_record(actor=self.principal.actor, facts=facts)
        return Response(answer)


class OneRecord(View):
    """One record."""

    @call("getRecord", "Read a record", answer=_WHOLE, path={"record_id": "The record's id."}, refusals=(404,))
    def get(self, request: Request, record_id: str) -> Response:
        """Return the record with what it commits to, for those who see payloads. Leaves a record itself."""
        with self.scope():
            record = found(Record.objects.all(), id=identifier(record_id))
            self.require("audit:read")
            payload = search.payload_of(record)
            erased = record.commitment is not None and payload is None
            value = json.loads(payload.value) if payload is not None and self.shows_payloads else None
            shown = payload_json(value) if isinstance(value, dict) else value
            why = erased_why([record.id]).get(record.id) if erased else None
            search.leave_record(actor=self.principal.actor, facts={"record": str(record.id)})
        return Response(_json(record) | {"payload": shown, "erased": erased, "erased_why": why})


def _wanted(given: Query) -> Wanted:
    action = given.matching("action", ACTION, "Write a type of record, such as agent.published.")
    run = given.matching("run", RECORD_ID, "Write the id of a run.")
    return Wanted(
        actor=_who(given, "actor", ACTOR, "user:…, key:… or system:… with its id, engine or anonymous"),
        action=action,
        beyond_runs=action not in BY_ACTION,
        subject=_who(given, "subject", SUBJECT, "a kind and an id, such as user:… or key:…"),
        run=identifier(run) if run is not None else None,
        since=given.instant("from"),
        until=given.instant("to"),
        text=_words(given),
    )


def _words(given: Query) -> tuple[str, ...]:
    text = given.text("q")
    if text is None:
        return ()
    found = terms.words(text)
    if not 1 <= len(found) <= terms.MOST_WORDS:
        raise InvalidQuery(faults=[Fault("/query/q", f"Write one to {terms.MOST_WORDS} words.")])
    return tuple(found)


def _who(given: Query, key: str, form: re.Pattern[str], words: str) -> str | None:
    """Return the opaque id: what is looked for, and what the record of the reading may hold."""
    text = given.text(key)
    if text is not None and "@" in text:
        try:
            return f"user:{members.any_by_email(text).user_id}"
        except UnknownMember as error:
            raise InvalidQuery(faults=[Fault(f"/query/{key}", str(error))]) from error
    return given.matching(key, form, f"Write {words}, or a member's e-mail address.")


def _json(record: Record) -> dict[str, Json]:
    return {
        "id": str(record.id),
        "at": record.at.isoformat(),
        "v": record.v,
        "action": record.action,
        "actor": record.actor,
        "subject": record.subject,
        "stream": str(record.stream),
        "seq": record.seq,
        "outcome": record.outcome,
        "facts": record.facts,
        "commitment": bytes(record.commitment).hex() if record.commitment is not None else None,
    }

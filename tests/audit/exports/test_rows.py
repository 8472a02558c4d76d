"""Records as rows: all of a span, in order, and harmless in a spreadsheet."""

import csv
import io
import json
from datetime import UTC, datetime, timedelta

import pytest

from audit import journal
from audit.exports import rows
from audit.exports.period import span
from audit.models import Record
from db.models import new_id
from db.scope import tenant_scope
from tests.audit.sealer import logs
from tests.audit.sealer.conftest import acme
from tests.worlds import World

__all__ = ["acme"]


def exported(acme: World, form: str, *, payloads: bool = True, **ends: datetime) -> str:
    with tenant_scope(acme.tenant_id):
        return "".join(rows.lines(span(**ends), form, payloads=payloads))


def ids(acme: World) -> list[str]:
    with tenant_scope(acme.tenant_id):
        return [str(each) for each in Record.objects.order_by("id").values_list("id", flat=True)]


@pytest.mark.parametrize("chunk", [2000, 7])
def test_every_record_of_the_span_is_there_once_and_in_order(
    acme: World, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    monkeypatch.setattr(rows, "CHUNK", chunk)
    logs.append(acme, 20)

    read = [json.loads(line) for line in exported(acme, "jsonl").splitlines()]

    assert [each["id"] for each in read] == ids(acme)
    assert [each["payload"] for each in read[-20:]] == [{"name": number} for number in range(20)]
    assert read[-1]["facts"]["n"] == 19
    assert [row["id"] for row in csv.DictReader(io.StringIO(exported(acme, "csv"), newline=""))] == ids(acme)
    hour = timedelta(hours=1)
    assert exported(acme, "jsonl", since=datetime.now(UTC) + hour) == ""
    assert exported(acme, "jsonl", until=datetime.now(UTC) - hour) == ""


def test_payloads_may_be_left_out(acme: World) -> None:
    logs.append(acme, 2)

    read = [json.loads(line) for line in exported(acme, "jsonl", payloads=False).splitlines()]

    assert {(each["payload"], each["erased"]) for each in read} == {(None, False)}


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", " =1", "\uff1d1"])
def test_no_cell_is_a_formula(acme: World, text: str) -> None:
    with tenant_scope(acme.tenant_id):
        journal.record("a.b", stream=new_id(), actor=text, subject=text, payload=text)

    row = list(csv.DictReader(io.StringIO(exported(acme, "csv"), newline="")))[-1]

    assert row["actor"] == row["subject"] == f"'{text}"
    assert all(cell.lstrip(" ")[:1] not in "=+-@\t\r\n" or not cell for cell in row.values())

"""Exports over HTTP: asked for, watched, downloaded in one piece or several, by those who may."""

import csv
import http.client
import io
import zipfile
from typing import Any

import pytest

from audit.models import Record
from audit.sealer.loop import sealer
from db import session
from db.scope import tenant_scope
from tenants.models import Role
from tests.api.conftest import Caller, caller, member
from tests.api.scene import exported
from tests.api.test_schema import fits
from tests.audit.sealer import logs
from tests.worlds import World


@pytest.fixture
def audrey(acme: World) -> Caller:
    """The tenant's compliance officer."""
    return caller(acme, member(acme, Role.COMPLIANCE, "audrey"))


def fetched(server: tuple[str, int], who: Caller, path: str, **headers: str) -> tuple[int, dict[str, Any], bytes]:
    """Read an address from the real server."""
    connection = http.client.HTTPConnection(*server, timeout=30)
    sent = {"Authorization": f"Bearer {who.key}", **{name.replace("_", "-"): value for name, value in headers.items()}}
    connection.request("GET", path, headers=sent)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, dict(answer.getheaders()), body


def test_a_period_is_asked_for_watched_and_taken_away(acme: World, audrey: Caller, server: tuple[str, int]) -> None:
    logs.append(acme, 300)
    asked = audrey.post("audit/exports", {"from": "2026-01-01", "to": "2029-12-31", "format": "csv"})

    assert (asked.status, asked.json["status"]) == (202, "queued")
    assert fits(asked, "Export")
    early = audrey.get(asked.json["links"]["download"])
    assert (early.status, early.code) == (409, "export_not_ready")

    export = exported(audrey, {"format": "jsonl", "filter": {"actor": f"bob@{acme.slug}.example"}})
    found = audrey.get(f"audit/exports/{export}")
    assert fits(found, "Export")
    assert (found.json["status"], found.json["records"]) == ("ready", {"done": 0, "total": 0})
    found = audrey.get(asked.json["links"]["self"])
    assert (found.json["status"], found.json["percent"]) == ("ready", 100)
    status, headers, body = fetched(server, audrey, found.json["links"]["download"], Accept="*/*")
    assert (status, headers["content-type"]) == (200, "text/csv; charset=utf-8")
    assert len(body) == int(headers["content-length"]) == found.json["bytes"]
    assert len(list(csv.reader(io.StringIO(body.decode(), newline="")))) == found.json["records"]["done"] + 1
    with tenant_scope(acme.tenant_id):
        taken = Record.objects.filter(action="export.downloaded").get()
    assert (taken.actor, taken.facts["end"]) == (audrey.principal and audrey.principal.actor, len(body))
    assert export in [each["id"] for each in audrey.get("audit/exports").json["results"]]


def test_a_download_goes_on_where_it_broke_off(acme: World, audrey: Caller, server: tuple[str, int]) -> None:
    logs.append(acme, 300)
    with session.connect() as connection:
        sealer(connection).seal(acme.tenant_id)
    export = exported(audrey, {"format": "bundle"})
    path = f"/api/v1/audit/exports/{export}/download"

    status, headers, whole = fetched(server, audrey, path)
    assert (status, headers["accept-ranges"]) == (200, "bytes")
    assert zipfile.ZipFile(io.BytesIO(whole)).testzip() is None

    for asked, begin, end in (
        ("bytes=0-99", 0, 100),
        (f"bytes={len(whole) // 2}-", len(whole) // 2, len(whole)),
        ("bytes=-10", len(whole) - 10, len(whole)),
        ("bytes=5-99999999999", 5, len(whole)),
    ):
        status, part, body = fetched(server, audrey, path, Range=asked, If_Range=headers["etag"])
        assert (status, part["content-range"]) == (206, f"bytes {begin}-{end - 1}/{len(whole)}")
        assert body == whole[begin:end]
    for asked in ("bytes=0-1,3-4", "lines=1-2", "bytes=9-3"):
        assert fetched(server, audrey, path, Range=asked)[::2] == (200, whole)
    assert fetched(server, audrey, path, Range="bytes=0-9", If_Range='"another"')[::2] == (200, whole)
    refused = audrey.get(path, Range=f"bytes={len(whole)}-")
    assert (refused.status, refused.code) == (416, "range_not_satisfiable")
    assert audrey("HEAD", path).status == 200


def test_what_cannot_be_asked_for_is_refused_in_words(acme: World, audrey: Caller, bob: Caller, carol: Caller) -> None:
    for body, pointer in (
        ({"format": "xml"}, "/format"),
        ({"from": "2026-02-30"}, "/from"),
        ({"to": "yesterday"}, "/to"),
        ({"filter": {"run": "1"}}, "/filter/run"),
        ({"filter": {"actor": "nobody@nowhere.example"}}, "/filter/actor"),
        ({"filter": {"who": "me"}}, "/filter/who"),
    ):
        answer = audrey.post("audit/exports", body)
        assert (answer.status, answer.pointers) == (422, [pointer]), answer.json
    whole = audrey.post("audit/exports", {"format": "bundle", "filter": {"action": "a.b"}})
    assert (whole.status, whole.code) == (422, "bundle_is_whole")
    export = exported(audrey, {"format": "csv"})
    assert bob.get(f"audit/exports/{export}/download").status == 403
    assert carol.get(f"audit/exports/{export}/download").status == 404
    assert audrey("DELETE", f"audit/exports/{export}").status == 204
    gone = audrey.get(f"audit/exports/{export}/download")
    assert (gone.status, gone.code) == (410, "export_gone")

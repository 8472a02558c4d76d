"""Exports are whole, whoever made them and however often he died; and nobody else's."""

import csv
import io
import json
import threading
import zipfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
from django.db import connection, connections
from django.db.models import F
from jsonschema import Draft202012Validator
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema
from pytest_django import Settings

from access.errors import AccessDenied
from agents.actions.runs import transaction_time
from audit import journal
from audit.exports import bundle, rows
from audit.exports.period import of_time
from audit.exports.rows import Filter
from audit.journal import Entry
from audit.log.note import VerifierKey
from audit.models import Record
from audit.sealer.loop import sealer
from audit.source import Source, answering
from audit.verify.__main__ import main as audit_verify
from audit.verify.bundle import verify
from audit.verify.files import files_of
from db import roles, session
from db.models import new_id
from db.scope import tenant_scope
from exports import bundles, listings, making, moments, parts
from exports.actions import exports
from exports.actions.exports import Asked
from exports.errors import BadPeriod, BundleIsWhole, Gone, NotReady, TooManyExports, TooManyKept, UnknownExport
from exports.models import Export, Part
from tenants.models import Role
from tenants.principal import COMMAND, Principal
from tests.audit.conftest import superuser
from tests.audit.sealer import logs
from tests.audit.sealer.conftest import Superuser
from tests.worlds import World, world

__all__ = ["superuser"]


@pytest.fixture
def acme(database: None) -> World:
    """A fresh tenant, with a journal of more than two tiles, sealed."""
    made = world()
    logs.append(made, 600)
    return made


@pytest.fixture
def cora(acme: World) -> Principal:
    """Its compliance officer."""
    return acme.member("cora", Role.COMPLIANCE)


def seal(acme: World) -> None:
    with session.connect() as connection:
        sealer(connection).seal(acme.tenant_id)


def make() -> None:
    """Make whatever is due."""
    while (hold := making.take()) is not None:
        making.work(hold, turn_s=600)


def made(acme: World, asked: Asked, who: Principal) -> Export:
    export = exports.ask(asked, acting_as=who)
    seal(acme)
    make()
    return of(acme, export.id)


def of(acme: World, export_id: UUID) -> Export:
    with tenant_scope(acme.tenant_id):
        return Export.objects.get(id=export_id)


def whole(acme: World, export: Export) -> bytes:
    """Return the bytes of it, as they are downloaded."""
    data = b""
    with tenant_scope(acme.tenant_id):
        while more := parts.at(export.id, len(data)):
            data += more
    assert len(data) == export.size
    return data


def ids(acme: World) -> list[str]:
    with tenant_scope(acme.tenant_id):
        return [str(each) for each in Record.objects.order_by("id").values_list("id", flat=True)]


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "CHUNK", 100)
    monkeypatch.setattr(bundle, "CHUNK", 256)
    monkeypatch.setattr(bundles, "TILES", 2)
    monkeypatch.setattr(parts, "BYTES", 10_000)


@pytest.mark.usefixtures("small_steps")
def test_rows_are_all_there_in_order_however_many_steps_it_takes(acme: World, cora: Principal) -> None:
    before = ids(acme)

    export = made(acme, Asked("jsonl"), cora)

    read = [json.loads(line) for line in whole(acme, export).decode().splitlines()]
    before = [*before, ids(acme)[len(before)]]  # and that somebody asked for it, before it was answered to
    assert [each["id"] for each in read] == before
    assert (export.status, export.percent, export.done, export.total) == ("ready", 100, len(before), len(before))
    assert {"name": 599} in [each["payload"] for each in read]
    with tenant_scope(acme.tenant_id):
        found = Record.objects.filter(action__in=("export.requested", "log.exported")).order_by("id")
        assert [(each.action, each.actor) for each in found] == [
            ("export.requested", cora.actor),
            ("log.exported", "system:exports"),
        ]


@pytest.mark.usefixtures("small_steps")
def test_a_bundle_is_an_archive_that_verifies(acme: World, cora: Principal, tmp_path: Path) -> None:
    export = made(acme, Asked("bundle"), cora)

    path = tmp_path / "bundle.zip"
    path.write_bytes(whole(acme, export))
    archive = zipfile.ZipFile(path)
    assert archive.testzip() is None
    key = VerifierKey.parse(archive.read("vkey").decode().split()[0])
    report = verify(files_of(path), keys=[key])
    assert report.problems == []
    assert audit_verify([str(path), "--key", key.text]) == 0
    assert export.done == export.total == len(archive.read("entries.jsonl").splitlines())
    assert export.done >= 602, "what was recorded until it was asked for is in it"


@pytest.mark.usefixtures("small_steps")
def test_a_bundle_without_payloads_says_so_of_each(acme: World, cora: Principal, tmp_path: Path) -> None:
    export = made(acme, Asked("bundle", payloads=False), cora)

    path = tmp_path / "bundle.zip"
    path.write_bytes(whole(acme, export))
    manifest = json.loads(zipfile.ZipFile(path).read("manifest.json"))
    assert len(manifest["withheld"]) >= 600
    assert verify(files_of(path)).problems == []


@pytest.mark.usefixtures("small_steps")
@pytest.mark.parametrize("form", ["bundle", "csv"])
def test_another_worker_goes_on_where_one_died_and_the_file_is_the_same(
    acme: World, cora: Principal, form: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Died(BaseException):
        pass

    export = exports.ask(Asked(form), acting_as=cora)
    seal(acme)
    steps, died = 0, 0
    step = bundles.step if form == "bundle" else listings.step

    def dies(each: Export, *digest: str | None) -> float:
        nonlocal steps, died
        steps += 1
        waits = step(each, *digest)  # what it wrote is rolled back
        if steps % 3 == 0:
            died += 1
            raise Died
        return waits

    monkeypatch.setattr(bundles if form == "bundle" else listings, "step", dies)
    while of(acme, export.id).status in exports.OPEN:
        hold = making.take()
        assert hold is not None
        try:
            making.work(hold, turn_s=600)
        except Died:
            with roles.dispatch(), connection.cursor() as cursor:  # the hold runs out
                cursor.execute("UPDATE exports_export SET next_at = now() WHERE id = %s", [export.id])

    assert died >= 2
    found = of(acme, export.id)
    data = whole(acme, found)
    if form == "csv":
        assert data.count(b"\r\n") == found.done + 1
    else:
        (tmp_path / "bundle.zip").write_bytes(data)
        assert verify(files_of(tmp_path / "bundle.zip")).problems == []


def test_who_was_overtaken_writes_nothing(acme: World, cora: Principal) -> None:
    export = exports.ask(Asked("jsonl"), acting_as=cora)
    hold = making.take()
    assert hold is not None
    with roles.dispatch(), connection.cursor() as cursor:
        cursor.execute("UPDATE exports_export SET next_at = now() WHERE id = %s", [export.id])
    newer = making.take()
    assert newer is not None

    making.work(hold)
    with tenant_scope(acme.tenant_id):
        assert not Part.objects.exists()

    making.work(newer, turn_s=600)
    assert of(acme, export.id).status == "ready"


def test_a_filter_narrows_and_what_is_rare_is_found_far_away(
    acme: World, cora: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "CHUNK", 50)
    run = new_id()
    with tenant_scope(acme.tenant_id):
        journal.record("tool.unknown", stream=run, actor="key:one", subject="user:two")
    wanted = [Filter(actor="key:one"), Filter(action="tool.unknown"), Filter(subject="user:two"), Filter(run=run)]

    for each in wanted:
        export = made(acme, Asked("jsonl", filter=each), cora)
        [line] = whole(acme, export).splitlines()
        assert json.loads(line)["stream"] == str(run)


TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def recorded_in_a_request(acme: World) -> str:
    """Record something as a request does that came by a key and in a trace; returns the record's id."""
    with tenant_scope(acme.tenant_id), answering(Source(TRACE, UUID(int=7))):
        return str(journal.record("thing.done", stream=new_id(), actor="user:two"))


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_each_record_says_its_trace_and_the_steps_of_a_run_their_runs(acme: World, cora: Principal, form: str) -> None:
    own, given = new_id(), new_id()
    with tenant_scope(acme.tenant_id):
        with answering(Source(TRACE)):
            journal.append_at(given, 0, [Entry("run.submitted", "user:two")])
        journal.append_at(given, 1, [Entry("run.started", "engine")])
        journal.append_at(own, 0, [Entry("run.submitted", "user:two"), Entry("run.started", "engine")])
    recorded_in_a_request(acme)

    text = whole(acme, made(acme, Asked(form), cora)).decode()

    read = (
        [json.loads(line) for line in text.splitlines()] if form == "jsonl" else list(csv.DictReader(io.StringIO(text)))
    )
    *_, submitted, started, of_itself, again, done, asked = read
    assert (asked["action"], asked["trace"]) in [("export.requested", None), ("export.requested", "")]
    assert [each["trace"] for each in (submitted, started, done)] == [TRACE] * 3
    assert [each["trace"] for each in (of_itself, again)] == [own.hex] * 2
    assert {str(each["v"]) for each in read} == {"1"}
    assert read[0]["trace"] in (None, "")


def test_ocsf_is_what_the_public_schema_says(acme: World, cora: Principal) -> None:
    traced = recorded_in_a_request(acme)
    export = made(acme, Asked("ocsf"), cora)
    schema = OcsfJsonSchemaEmbedded(get_ocsf_schema("1.5.0")).get_class_schema("api_activity", ["trace"])
    validator = Draft202012Validator(schema)

    events = [json.loads(line) for line in whole(acme, export).decode().splitlines()]

    [told] = [each for each in events if each["metadata"]["uid"] == traced]
    assert (told["trace"], told["actor"]["user"]["credential_uid"]) == ({"uid": TRACE}, "key:" + str(UUID(int=7)))
    for event in (*events[:20], told, events[-1]):
        assert [error.message for error in validator.iter_errors(event)] == []
    assert {(each["class_uid"], each["type_uid"] // 100) for each in events} == {(6003, 6003)}
    assert {"name": 599} in [each["unmapped"]["payload"] for each in events]
    assert [each["metadata"]["uid"] for each in events] == ids(acme)[: len(events)]
    assert any(validator.iter_errors({**events[0], "actor": {}, "time": "now"})), "the schema refuses"


def test_large_payloads_are_there_as_they_are(acme: World, cora: Principal, tmp_path: Path) -> None:
    large = {"text": "a\u20ac" * 20_000}
    with tenant_scope(acme.tenant_id):
        journal.record("a.b", stream=new_id(), actor="engine", payload=large)

    export = made(acme, Asked("jsonl"), cora)
    assert large in [json.loads(line)["payload"] for line in whole(acme, export).splitlines()]
    export = made(acme, Asked("bundle"), cora)
    (tmp_path / "bundle.zip").write_bytes(whole(acme, export))
    assert verify(files_of(tmp_path / "bundle.zip")).problems == []


def test_a_large_payload_that_goes_while_it_is_exported_is_erased(acme: World, superuser: Superuser) -> None:
    with tenant_scope(acme.tenant_id):
        journal.record("a.b", stream=new_id(), actor="engine", payload={"text": "a" * 50_000})
    seal(acme)
    with tenant_scope(acme.tenant_id):
        log = logs.log_of(acme)
        period = of_time(log, since=None, until=None)
        chunks = bundle.Chunks(log, period, payloads=True)
        chunk = chunks.read(0)
        superuser.execute("SELECT set_config('app.tenant', %s, false)", [str(acme.tenant_id)])
        gone = "DELETE FROM audit_payload WHERE tenant_id = %s AND octet_length(value) > 40000"
        superuser.execute(gone, [acme.tenant_id])
        lines = [json.loads(line) for line in chunks.lines(chunk)]

    assert [(index, why.where) for index, why in chunk.left_out] == [(lines[-1]["index"], "erased")]
    assert lines[-1]["payload"] is None


def test_it_is_let_go_after_its_time_or_before(acme: World, cora: Principal) -> None:
    kept, withdrawn = (made(acme, Asked("csv"), cora) for _ in range(2))
    exports.withdraw(withdrawn.id, acting_as=cora)
    with tenant_scope(acme.tenant_id):
        Export.objects.filter(id=kept.id).update(next_at=transaction_time() - timedelta(seconds=1))
    make()

    for each in (kept, withdrawn):
        found = of(acme, each.id)
        assert (found.status, found.next_at) == ("expired", None)
        with tenant_scope(acme.tenant_id):
            assert not Part.objects.filter(export=found).exists()
            with pytest.raises(Gone):
                exports.ready(found.id)


def test_who_erases_withdraws_whatever_holds_payloads(acme: World, cora: Principal) -> None:
    with_them, without = made(acme, Asked("csv"), cora), made(acme, Asked("csv", payloads=False), cora)
    with tenant_scope(acme.tenant_id):
        assert exports.withdraw_payloads(acting_as=COMMAND) == 1

    assert [of(acme, each.id).status for each in (with_them, without)] == ["expired", "ready"]


@pytest.mark.usefixtures("small_steps")
@pytest.mark.parametrize("steps", [1, 7])
def test_what_is_withdrawn_while_it_is_made_is_made_no_further(acme: World, cora: Principal, steps: int) -> None:
    export = exports.ask(Asked("jsonl"), acting_as=cora)
    hold = making.take()
    assert hold is not None
    assert making._begin(hold)
    for _ in range(steps):
        assert making._step(hold, leave=False)
    exports.withdraw(export.id, acting_as=cora)

    making.work(hold)
    assert not making._step(hold, leave=False)

    found = of(acme, export.id)
    assert (found.status, found.size, found.next_at, found.error) == ("expired", 0, None, None)
    with tenant_scope(acme.tenant_id):
        assert not Part.objects.filter(export=found).exists()


def test_who_erases_leaves_nothing_of_one_that_was_let_go(acme: World, cora: Principal) -> None:
    export = made(acme, Asked("csv"), cora)
    with tenant_scope(acme.tenant_id):
        Export.objects.filter(id=export.id).update(status="expired")
        exports.withdraw_payloads(acting_as=COMMAND)
        assert not Part.objects.exists()


def test_it_fails_with_the_reason_when_the_log_does_not_hold(
    acme: World, cora: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundles, "LOOKS", 2)
    export = exports.ask(Asked("bundle"), acting_as=cora)
    for _ in range(3):
        due(export)
        make()

    found = of(acme, export.id)
    assert (found.status, found.error) == ("failed", "nothing_sealed")


def test_a_bundle_whose_turn_comes_late_waits_for_the_sealer_as_any_other(acme: World, cora: Principal) -> None:
    seal(acme)
    export = exports.ask(Asked("bundle"), acting_as=cora)
    with tenant_scope(acme.tenant_id):
        Export.objects.filter(id=export.id).update(created_at=F("created_at") - timedelta(minutes=5))
    logs.append(acme, 1)  # life goes on, and the sealer is a second behind
    make()
    waits = of(acme, export.id)
    seal(acme)
    due(export)
    make()

    assert (waits.status, waits.error) == ("running", None)
    assert of(acme, export.id).status == "ready"


def test_what_breaks_again_and_again_is_given_up(acme: World, cora: Principal, monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(_: Export) -> float:
        raise ZeroDivisionError

    export = exports.ask(Asked("csv"), acting_as=cora)
    monkeypatch.setattr(listings, "step", breaks)
    for _ in range(making.TRIES):
        hold = making.take()
        assert hold is not None
        with pytest.raises(ZeroDivisionError):
            making.work(hold)
        due(export)
    make()

    assert (of(acme, export.id).status, of(acme, export.id).error) == ("failed", "export_broke")


def test_a_bundle_whose_leaves_cannot_be_read_over_is_given_up(
    acme: World, cora: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(*_: object) -> str | None:
        raise ZeroDivisionError

    export = exports.ask(Asked("bundle"), acting_as=cora)
    seal(acme)
    monkeypatch.setattr(bundles, "digest_of", breaks)
    for _ in range(making.TRIES):
        hold = making.take()
        assert hold is not None
        with pytest.raises(ZeroDivisionError):
            making.work(hold, turn_s=600)
        due(export)
    make()

    assert (of(acme, export.id).status, of(acme, export.id).error) == ("failed", "export_broke")


@pytest.mark.usefixtures("small_steps")
def test_processes_that_end_while_the_leaves_are_read_over_do_not_add_up(
    acme: World, cora: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Ended(BaseException):
        pass

    def ends(export_id: UUID, lane: int, first: int, count: int) -> list[bytes]:
        if first > 1:
            raise Ended
        return read(export_id, lane, first, count)

    read = parts.data
    monkeypatch.setattr(bundles, "PARTS", 1)
    export = exports.ask(Asked("bundle"), acting_as=cora)
    seal(acme)
    with monkeypatch.context() as deploys:
        deploys.setattr(parts, "data", ends)
        for _ in range(making.TRIES + 2):
            hold = making.take()
            assert hold is not None
            with pytest.raises(Ended):
                making.work(hold, turn_s=600)
            due(export)
    make()

    assert of(acme, export.id).status == "ready"


def test_who_may_not_or_asks_for_what_cannot_be_is_refused(acme: World, cora: Principal) -> None:
    now = transaction_time()
    carol = world().member("carol", Role.OWNER)
    export = exports.ask(Asked("csv"), acting_as=cora)

    for who in (acme.bob, acme.alice):
        with pytest.raises(AccessDenied):
            exports.ask(Asked("csv"), acting_as=who)
        with pytest.raises(AccessDenied):
            exports.download(export.id, first=0, end=0, acting_as=who)
    with pytest.raises(UnknownExport):
        exports.download(export.id, first=0, end=0, acting_as=carol)
    with pytest.raises(NotReady):
        exports.download(export.id, first=0, end=0, acting_as=cora)
    with pytest.raises(BadPeriod):
        exports.ask(Asked("csv", since=now, until=now), acting_as=cora)
    with pytest.raises(BundleIsWhole):
        exports.ask(Asked("bundle", filter=Filter(action="a.b")), acting_as=cora)
    for _ in range(exports.MAX_OPEN - 1):
        exports.ask(Asked("csv"), acting_as=cora)
    with pytest.raises(TooManyExports):
        exports.ask(Asked("csv"), acting_as=cora)
    make()


def test_so_many_are_kept_and_no_more(acme: World, cora: Principal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exports, "MAX_KEPT", 1)
    kept = made(acme, Asked("csv"), cora)
    with pytest.raises(TooManyKept):
        exports.ask(Asked("csv"), acting_as=cora)

    exports.withdraw(kept.id, acting_as=cora)

    assert made(acme, Asked("csv"), cora).status == "ready"


def test_the_chore_makes_it_in_a_thread_that_ends(acme: World, cora: Principal) -> None:
    export = exports.ask(Asked("csv"), acting_as=cora)
    makers = making.Makers()

    makers.see_to()
    makers.join()

    assert of(acme, export.id).status == "ready"
    assert "exports" not in {thread.name for thread in threading.enumerate()}


def test_an_archive_reads_by_the_standard_library_whatever_its_size() -> None:
    from audit.exports.archive import Member, directory

    few = [Member("a", 0, 0)] * 3
    text = b"".join(each.header for each in few) + b"".join(directory(few))
    assert zipfile.ZipFile(io.BytesIO(text)).namelist() == ["a"] * 3
    many = [Member(f"f{n}", 0, 0) for n in range(70_000)]
    text = b"".join(each.header for each in many) + b"".join(directory(many))
    assert len(zipfile.ZipFile(io.BytesIO(text)).infolist()) == 70_000
    large = Member("large", 1, 5_000_000_000)
    end = b"".join(directory([large, Member("behind", 0, 0)]))
    sizes = zipfile.ZipFile(_Sparse(large.whole + len(Member("behind", 0, 0).header), end)).infolist()
    assert [(each.file_size, each.header_offset) for each in sizes] == [(5_000_000_000, 0), (0, large.whole)]


class _Sparse(io.RawIOBase):
    """A file of which only the end is there."""

    def __init__(self, before: int, end: bytes) -> None:
        self._before, self._end, self._at = before, end, 0

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = 0) -> int:
        whole = self._before + len(self._end)
        self._at = {0: 0, 1: self._at, 2: whole}[whence] + offset
        return self._at

    def read(self, size: int = -1) -> bytes:
        start = self._at - self._before
        found = self._end[start:] if size < 0 else self._end[start : start + size]
        self._at += len(found)
        return found


def due(export: Export) -> None:
    """Have it looked at now."""
    with roles.dispatch(), connection.cursor() as cursor:
        cursor.execute("UPDATE exports_export SET next_at = now() WHERE id = %s", [export.id])


def test_what_was_recorded_before_and_is_committed_after_is_in_it(
    acme: World, cora: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    late, written, commit = new_id(), threading.Event(), threading.Event()

    def takes_its_time() -> None:
        with tenant_scope(acme.tenant_id):
            journal.record("thing.done", stream=late, actor="user:two")
            written.set()
            commit.wait()
        connections.close_all()

    thread = threading.Thread(target=takes_its_time)
    thread.start()
    written.wait()
    export = exports.ask(Asked("jsonl"), acting_as=cora)
    make()
    waits = of(acme, export.id)
    monkeypatch.setattr(moments, "LOOKS", 1)
    impatient = exports.ask(Asked("jsonl"), acting_as=cora)
    for _ in range(2):
        due(impatient)
        make()
    commit.set()
    thread.join()
    due(export)
    make()

    assert (waits.status, waits.size, waits.state["waits_for"]) == ("running", 0, "writers")
    assert (of(acme, impatient.id).status, of(acme, impatient.id).error) == ("failed", "writers_linger")
    read = [json.loads(line)["stream"] for line in whole(acme, of(acme, export.id)).splitlines()]
    assert (str(late) in read, str(export.id) in read) == (True, True)


def test_a_bundle_waits_for_what_was_put_aside_however_old(acme: World, cora: Principal, superuser: Superuser) -> None:
    seal(acme)
    with tenant_scope(acme.tenant_id):
        journal.record("thing.done", stream=new_id(), actor="user:two")
    superuser.execute(
        "WITH taken AS (DELETE FROM audit_outbox WHERE tenant_id = %s RETURNING tenant_id, record_ids)"
        " INSERT INTO audit_outbox_aside (tenant_id, record_ids) SELECT tenant_id, record_ids FROM taken",
        [acme.tenant_id],
    )
    export = exports.ask(Asked("bundle"), acting_as=cora)
    make()
    waits = of(acme, export.id)
    seal(acme)
    due(export)
    make()

    assert (waits.status, "size" in waits.state, waits.state["waits_for"]) == ("running", False, "seal")
    assert "waits_for" not in of(acme, export.id).state
    assert of(acme, export.id).status == "ready"


def test_who_lets_it_go_does_not_wait_while_the_leaves_are_read_over(
    acme: World, cora: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest_of = bundles.digest_of

    def let_go_meanwhile(tenant_id: UUID, export_id: UUID, go_on: Callable[[], bool]) -> str | None:
        exports.withdraw(export_id, acting_as=cora)
        return digest_of(tenant_id, export_id, go_on)

    monkeypatch.setattr(bundles, "digest_of", let_go_meanwhile)
    export = made(acme, Asked("bundle"), cora)

    assert (export.status, export.size) == ("expired", 0)


def test_what_would_take_more_room_than_there_is_fails(acme: World, cora: Principal, settings: Settings) -> None:
    settings.EXPORTS_BYTES = 10_000

    export = made(acme, Asked("csv"), cora)

    assert (export.status, export.error, export.size) == ("failed", "exports_too_large", 0)
    with tenant_scope(acme.tenant_id):
        assert not Part.objects.exists()

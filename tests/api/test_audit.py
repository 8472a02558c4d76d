"""Reading the journal over REST: who may, what is found, and the record that each reading leaves."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from audit import journal
from audit.models import Record
from db.models import new_id
from db.scope import tenant_scope
from tenants.models import Role
from tests.api.conftest import Caller, caller, member, start
from tests.api.test_schema import fits
from tests.worlds import World

Json = Any


@pytest.fixture
def audrey(acme: World) -> Caller:
    """The tenant's compliance officer."""
    return caller(acme, member(acme, Role.COMPLIANCE, "audrey"))


@pytest.fixture
def olga(acme: World) -> Caller:
    """The tenant's owner."""
    return caller(acme, member(acme, Role.OWNER, "olga"))


def readings(of: World) -> list[Json]:
    """Return (actor, facts) of each `log.read`, oldest first; each says the key that was read with."""
    with tenant_scope(of.tenant_id):
        found = [(record.actor, record.facts) for record in Record.objects.filter(action="log.read").order_by("id")]
    assert all(facts.pop("via").startswith("key:") for _, facts in found)
    return found


def test_those_who_answer_for_it_read_all_of_it_newest_first(acme: World, audrey: Caller, olga: Caller) -> None:
    with tenant_scope(acme.tenant_id):
        ids = [str(record_id) for record_id in Record.objects.order_by("-id").values_list("id", flat=True)]

    for who in (audrey, olga):
        answer = who.get("audit/records")
        assert fits(answer, "RecordPage")
        assert [each["id"] for each in answer.json["results"] if each["action"] != "log.read"] == ids


def test_each_page_that_is_read_leaves_one_record(acme: World, audrey: Caller) -> None:
    bob = f"user:{acme.bob.user_id}"
    first = audrey.get(f"audit/records?limit=2&actor=system:command&subject={bob}&from=2026-01-01T00:00:00Z").json
    pages = [audrey.get("audit/records?limit=2").json]
    while pages[-1]["next"]:
        pages.append(audrey.get(f"audit/records?limit=2&cursor={pages[-1]['next']}").json)

    assert audrey.principal is not None
    narrowed, *rest = readings(acme)
    assert narrowed == (
        audrey.principal.actor,
        {
            "filters": {"actor": "system:command", "subject": bob, "from": "2026-01-01T00:00:00+00:00"},
            "count": len(first["results"]),
            "first": True,
        },
    )
    assert rest == [
        (audrey.principal.actor, {"filters": {}, "count": len(page["results"]), "first": place == 0})
        for place, page in enumerate(pages)
    ]
    seen = [each["id"] for page in pages for each in page["results"]]
    assert len(seen) == len(set(seen))


def test_what_narrows_narrows(acme: World, audrey: Caller, alice: Caller, echo: str) -> None:
    run = start(alice)
    marked = new_id()
    with tenant_scope(acme.tenant_id):
        journal.record("thing.done", stream=marked, actor="key:k", subject="thing:1", outcome="failed")

    def found(query: str) -> list[str]:
        results = audrey.get(f"audit/records?{query}").json["results"]
        assert results == sorted(results, key=lambda each: each["id"], reverse=True)
        return [each["action"] for each in results]

    assert found("actor=key:k") == found("subject=thing:1") == found("action=thing.done") == ["thing.done"]
    assert found(f"run={marked}") == ["thing.done"]
    assert found(f"run={run}") == ["run.submitted"]
    assert found("action=run.submitted") == ["run.submitted"]
    assert found(f"actor=alice@{acme.slug}.example&action=run.submitted") == ["run.submitted"]
    assert found(f"actor=user:{acme.alice.user_id}&action=agent.published") == ["agent.published"]
    assert set(found("actor=engine")) == set()
    assert found("actor=key:k&subject=thing:2") == []
    assert found(f"subject=bob@{acme.slug}.example&action=member.added") == ["member.added"]


def test_times_are_exact(acme: World, audrey: Caller) -> None:
    with tenant_scope(acme.tenant_id):
        stream = new_id()
        for _ in range(3):
            journal.record("thing.done", stream=stream, actor="engine")
        times = list(Record.objects.filter(stream=stream).order_by("id").values_list("at", flat=True))

    def count(since: datetime, until: datetime) -> int:
        span = f"from={since.isoformat()}&to={until.isoformat()}"
        return len(audrey.get(f"audit/records?action=thing.done&{span}").json["results"])

    tick = timedelta(microseconds=1)
    assert count(times[0], times[2]) == 2
    assert count(times[0] + tick, times[2] + tick) == 2
    assert count(times[0], times[2] + tick) == 3
    assert count(times[1], times[1]) == 0
    assert count(datetime(1970, 1, 1, tzinfo=UTC), datetime(1971, 1, 1, tzinfo=UTC)) == 0


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("q=%20-", "/query/q"),
        ("q=a+b+c+d+e+f+g+h+i", "/query/q"),
        ("actor=Ada Lovelace", "/query/actor"),
        ("actor=nonsense", "/query/actor"),
        ("actor=tool:1", "/query/actor"),
        ("subject=engine", "/query/subject"),
        ("actor=nobody@nowhere.example", "/query/actor"),
        ("subject=x'; DROP TABLE audit_record", "/query/subject"),
        ("action=published", "/query/action"),
        ("run=1", "/query/run"),
        ("from=yesterday", "/query/from"),
        ("to=2026-01-01", "/query/to"),
        ("stream=1", "/query/stream"),
    ],
)
def test_what_cannot_narrow_is_refused_and_nothing_was_read(
    acme: World, audrey: Caller, query: str, pointer: str
) -> None:
    answer = audrey.get(f"audit/records?{query}")

    assert (answer.status, answer.code) == (422, "invalid_query")
    assert answer.pointers == [pointer]
    assert readings(acme) == []


def test_what_an_actor_is_and_what_can_be_asked_for_is_told(audrey: Caller) -> None:
    def told(query: str) -> str:
        return str(audrey.get(f"audit/records?{query}").json["errors"][0]["detail"])

    assert told("actor=nonsense") == (
        "Write user:…, key:… or system:… with its id, engine or anonymous, or a member's e-mail address."
    )
    assert " q," in told("stream=1")


def test_one_record_comes_with_its_payload_and_leaves_a_record(acme: World, audrey: Caller) -> None:
    with tenant_scope(acme.tenant_id):
        made = journal.record("thing.done", stream=new_id(), actor="engine", facts={"n": 1}, payload={"who": "Ada"})
        bare = journal.record("thing.done", stream=new_id(), actor="engine")

    answer = audrey.get(f"audit/records/{made}")
    assert fits(answer, "WholeRecord")
    assert (answer.json["payload"], answer.json["erased"], answer.json["facts"]) == ({"who": "Ada"}, False, {"n": 1})
    assert (audrey.get(f"audit/records/{bare}").json["payload"], answer.json["erased"]) == (None, False)
    assert audrey.principal is not None
    assert readings(acme) == [(audrey.principal.actor, {"record": str(each)}) for each in (made, bare)]


def test_an_erased_payload_is_told(acme: World, audrey: Caller, owner_connection: Any) -> None:
    with tenant_scope(acme.tenant_id):
        made = journal.record("thing.done", stream=new_id(), actor="engine", payload={"who": "Ada"})
    with owner_connection.cursor() as cursor:
        cursor.execute("BEGIN; SET LOCAL ROLE countersign_journal")
        cursor.execute("SELECT set_config('app.tenant', %s, true)", [str(acme.tenant_id)])
        cursor.execute("DELETE FROM audit_payload WHERE record_id = %s", [made])
        cursor.execute("COMMIT")

    answer = audrey.get(f"audit/records/{made}").json
    assert (answer["payload"], answer["erased"]) == (None, True)
    assert answer["commitment"]


def test_alice_and_bob_and_keys_without_the_scope_are_refused(acme: World, alice: Caller, bob: Caller) -> None:
    narrow = caller(acme, member(acme, Role.OWNER, "olga"), "runs:read")
    with tenant_scope(acme.tenant_id):
        some = Record.objects.first()
    assert some is not None

    for path in ("audit/records", f"audit/records/{some.id}"):
        for who, code in ((alice, "forbidden"), (bob, "forbidden"), (narrow, "missing_scope")):
            answer = who.get(path)
            assert (answer.status, answer.code) == (403, code)
    assert readings(acme) == []


def test_another_tenants_records_are_not_there(acme: World, audrey: Caller) -> None:
    from tests.worlds import world

    other = world()
    carol = caller(other, member(other, Role.COMPLIANCE, "carol"))
    with tenant_scope(acme.tenant_id):
        some = Record.objects.first()
    assert some is not None

    theirs, nobodys = carol.get(f"audit/records/{some.id}"), carol.get(f"audit/records/{uuid4()}")
    assert theirs.status == nobodys.status == 404
    assert theirs.content == nobodys.content
    mine = {each["id"] for each in audrey.get("audit/records").json["results"]}
    assert not mine & {each["id"] for each in carol.get("audit/records").json["results"]}
    assert carol.get(f"audit/records?run={some.stream}").json["results"] == []
    cursor = audrey.get("audit/records?limit=1").json["next"]
    assert (carol.get(f"audit/records?cursor={cursor}").status) == 400

"""Records are found by their words and fields: all that have them, newest first, wherever they are by now."""

import json
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest
from django.db import connection

from audit import finding, indexing, journal, search, stored, terms
from audit.journal import Entry
from audit.models import Record
from audit.sealer.sealer import Sealer
from audit.search import Wanted
from audit.stored import Row
from db.models import new_id
from db.scope import tenant_scope
from tests.audit.conftest import superuser
from tests.audit.sealer.conftest import Superuser, acme, copies, sealer
from tests.worlds import World, world

__all__ = ["acme", "copies", "sealer", "superuser"]

NAMES = ("Ada", "Grace", "Émile", "Åsa", "Hedy")


@pytest.fixture
def few_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Segments of so few leaves that a small journal has many."""
    monkeypatch.setattr(indexing, "LEAVES", 64)
    monkeypatch.setattr(finding, "LEAVES", 64)


@pytest.fixture
def journaled(acme: World, sealer: Sealer, few_leaves: None) -> World:
    """A journal of which some is in pages, some sealed, some neither."""
    append(acme, 0, 300)
    sealer.seal(acme.tenant_id)
    index()
    append(acme, 300, 330)
    sealer.seal(acme.tenant_id)
    append(acme, 330, 350)
    return acme


def append(acme: World, first: int, end: int) -> None:
    with tenant_scope(acme.tenant_id):
        for n in range(first, end):
            action = "tool.unknown" if n % 50 == 0 else "tool.finished"
            payload = {"applicant": NAMES[n % 5], "text": f'Case-{n}, "quoted"\nline {n % 7}', "ratio": 0.5}
            actor, subject = f"user:{n % 3}", f"key:{n % 4}" if n % 2 else None
            entry = Entry(action, actor, {"n": n, "code": f"c{n % 11}"}, payload=payload, subject=subject)
            journal.append_at(new_id(), 0, [entry])


def index() -> None:
    while indexing.make_due():
        pass


def found(acme: World, **wanted: object) -> list[int]:
    """Return the numbers of what is found, by pages of seven."""
    text = tuple(terms.words(str(wanted.pop("q", ""))))
    numbers: list[int] = []
    before: UUID | None = None
    with tenant_scope(acme.tenant_id):
        while some := search.page(Wanted(**wanted, text=text), before=before, limit=7):  # type: ignore[arg-type]
            numbers += [each.facts["n"] for each in some if "n" in each.facts]
            before = some[-1].id
            if len(some) < 7:
                break
    return numbers


def test_all_that_has_the_words_is_found_newest_first_in_pages_or_not(journaled: World) -> None:
    with tenant_scope(journaled.tenant_id), connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM audit_search_segment")
        assert cursor.fetchone()[0] >= 4

    assert found(journaled, q="ada") == [n for n in reversed(range(350)) if n % 5 == 0]
    assert found(journaled, q="ÉMILE line 3") == [n for n in reversed(range(350)) if n % 5 == 2 and n % 7 == 3]
    assert found(journaled, q="case 17") == [17]
    assert found(journaled, q="quoted 349") == [349]
    assert found(journaled, q="c10 hedy") == [n for n in reversed(range(350)) if n % 11 == 10 and n % 5 == 4]
    assert found(journaled, q="applicant") == [], "the names of fields are no words"
    assert found(journaled, q="nobody") == []


def test_fields_are_found_alone_and_together(journaled: World) -> None:
    assert found(journaled, action="tool.unknown") == [n for n in reversed(range(350)) if n % 50 == 0]
    assert found(journaled, action="tool.unknown", actor="user:1") == [250, 100]
    assert found(journaled, subject="key:3", actor="user:2", q="grace") == [
        n for n in reversed(range(350)) if n % 4 == 3 and n % 3 == 2 and n % 5 == 1
    ]
    with tenant_scope(journaled.tenant_id):
        middle = Record.objects.order_by("id")[200]
        run = Record.objects.filter(action="tool.unknown").order_by("id")[2].stream
    assert found(journaled, run=run) == [100]
    assert found(journaled, run=run, q="ada") == [100]
    assert found(journaled, run=run, q="grace") == []
    early, late = found(journaled, q="ada", until=middle.at), found(journaled, q="ada", since=middle.at)
    assert late + early == found(journaled, q="ada")
    assert early
    assert late


def test_a_record_of_a_transaction_that_ended_late_is_found_in_its_place(
    acme: World, sealer: Sealer, few_leaves: None, superuser: Superuser
) -> None:
    with tenant_scope(acme.tenant_id):
        append(acme, 1, 130)
    sealer.seal(acme.tenant_id)
    append(acme, 130, 270)
    sealer.seal(acme.tenant_id)
    index()
    # As if it had been sealed last: its leaf changes places with that of a newer record.
    with superuser.transaction():
        superuser.execute("SET LOCAL session_replication_role = replica")
        at = "UPDATE audit_leaf SET record_id = %s WHERE tenant_id = %s AND index = %s"
        ids = "SELECT record_id FROM audit_leaf WHERE tenant_id = %s AND index IN (10, 240) ORDER BY index"
        old, new = (row[0] for row in superuser.execute(ids, [acme.tenant_id]).fetchall())
        for record_id, index_ in ((new_id(), 10), (old, 240), (new, 10)):
            superuser.execute(at, [record_id, acme.tenant_id, index_])
    with tenant_scope(acme.tenant_id):
        for segment in (0, 3):
            indexing.make(1, segment)

    assert found(acme, q="line 3") == [n for n in reversed(range(1, 270)) if n % 7 == 3]


def test_what_is_erased_is_found_no_more_and_its_words_go(journaled: World, superuser: Superuser) -> None:
    [number] = found(journaled, q="case 123")
    with tenant_scope(journaled.tenant_id):
        [record] = search.page(Wanted(text=("case", "123")), before=None, limit=1)
    index()
    before = postings(journaled, "case")
    superuser.execute("SELECT set_config('app.tenant', %s, false)", [str(journaled.tenant_id)])
    superuser.execute("DELETE FROM audit_payload WHERE record_id = %s", [record.id])

    assert number == 123
    assert found(journaled, q="case 123") == []
    index()
    assert postings(journaled, "case") == before - 1
    assert 123 in found(journaled, action="tool.finished"), "the record is still there"
    assert superuser.execute("SELECT count(*) FROM audit_search_stale").fetchone() == (0,)


def test_what_is_erased_while_its_pages_are_made_is_not_forgotten(
    acme: World, sealer: Sealer, few_leaves: None, superuser: Superuser, monkeypatch: pytest.MonkeyPatch
) -> None:
    append(acme, 0, 70)
    sealer.seal(acme.tenant_id)
    with tenant_scope(acme.tenant_id):
        [record] = [each for each in Record.objects.all() if each.facts.get("n") == 5]
    really = stored.execute

    def execute(statement: str, of: dict[str, Any]) -> Sequence[Row]:
        rows = really(statement, of)
        if statement == indexing._READ:
            superuser.execute("SELECT set_config('app.tenant', %s, false)", [str(acme.tenant_id)])
            superuser.execute("DELETE FROM audit_payload WHERE record_id = %s", [record.id])
        return rows

    with monkeypatch.context() as patched:
        patched.setattr(indexing, "execute", execute)
        with tenant_scope(acme.tenant_id):
            indexing.make(1, 0)
    before = postings(acme, "case")
    index()

    assert postings(acme, "case") == before - 1


def test_what_was_erased_before_it_was_sealed_holds_up_nothing(
    acme: World, sealer: Sealer, few_leaves: None, superuser: Superuser
) -> None:
    append(acme, 0, 70)
    sealer.seal(acme.tenant_id)
    index()
    append(acme, 70, 200)  # more than a segment's, which are in no leaf yet
    with tenant_scope(acme.tenant_id):
        [erased] = [each for each in Record.objects.all() if each.facts.get("n") == 5]
    superuser.execute("SELECT set_config('app.tenant', %s, false)", [str(acme.tenant_id)])
    superuser.execute(
        "DELETE FROM audit_payload p WHERE NOT EXISTS (SELECT FROM audit_leaf l WHERE l.record_id = p.record_id)"
    )
    superuser.execute("DELETE FROM audit_payload WHERE record_id = %s", [erased.id])
    before = postings(acme, "case")

    assert indexing.make_due() == 1

    assert postings(acme, "case") == before - 1


def postings(acme: World, word: str) -> int:
    """Return at how many places the pages have a word."""
    term = terms.term(word)
    with tenant_scope(acme.tenant_id), connection.cursor() as cursor:
        cursor.execute("SELECT postings FROM audit_search_page WHERE bucket = %s", [term.bucket])
        return sum(len(terms.places(page, term.kept)) for (page,) in cursor.fetchall())


def test_nobody_finds_what_is_another_tenants(journaled: World) -> None:
    other = world()

    assert found(other, q="ada") == []
    with tenant_scope(other.tenant_id), connection.cursor() as cursor:
        for table in ("segment", "page", "stale"):
            cursor.execute(f"SELECT count(*) FROM audit_search_{table}")  # noqa: S608 - names of our own
            assert cursor.fetchone()[0] == 0


def test_the_words_that_were_looked_for_are_not_in_the_record_of_the_reading() -> None:
    assert "ada" not in json.dumps(Wanted(text=("ada",)).facts())


def test_words_are_what_people_take_for_words() -> None:
    assert terms.words('Ada LOVELACE, "ada" 3-4') == ["ada", "lovelace", "3", "4"]
    assert terms.words_of_json('{"name":"Ada\\nL","x":[1.5,true]}') == {"ada", "l", "1", "5", "true"}
    facts = json.dumps({"a": "Åsa"})
    assert "åsa" in terms.of("a.b", "engine", None, facts, None)
    many = [{f"w{n}", "all"} for n in range(terms.LEAVES)]
    pages, term = terms.pages(many), terms.term("all")
    assert terms.places(pages[term.bucket], term.kept) >= set(range(terms.LEAVES))
    term = terms.term("w4000")
    assert 4000 in terms.places(pages[term.bucket], term.kept)
    assert len(terms.places(pages[term.bucket], term.kept)) < 5

"""Anybody can begin a sign-in through a provider, and costs the tenant and its provider little by it."""

from collections import Counter
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from django.test import Client

from signin import guesses
from signin.oidc import documents
from tests.signin.idp import CLIENT_ID, IdP
from tests.signin.sso import begin, change, come, domain, opens, person, provide, told, visitor
from tests.worlds import World

DISCOVERY = "/.well-known/openid-configuration"


@pytest.fixture
def corp(acme: World, idp: IdP) -> IdP:
    """Acme's provider."""
    provide(acme, idp)
    return idp


@pytest.fixture
def _few(monkeypatch: pytest.MonkeyPatch) -> None:
    for budget in ("browser", "address_and_provider"):
        monkeypatch.setitem(guesses.BUDGETS, budget, "3/300s/key")
    monkeypatch.setitem(guesses.BUDGETS, "provider", "5/3600s/key")


def start(client: Client, world: World) -> Any:
    return client.post(f"/accounts/sso/{world.slug}/corp/")


def kept(world: World) -> list[tuple[str, Any]]:
    """Return what the tenant's journal keeps of sign-ins that failed."""
    records = [row for row in told(world.tenant_id, "login.%") if row[0] != "login.succeeded"]
    return [(action, facts.get("reason") or facts.get("budget")) for action, _, _, facts in records]


@pytest.mark.usefixtures("_few")
def test_begun_and_never_finished_they_come_to_an_end_with_one_record(acme: World, corp: IdP) -> None:
    client = visitor()
    assert [start(client, acme).status_code for _ in range(6)] == [200] * 3 + [429] * 3
    assert b"<code>too_many</code>" in start(client, acme).content
    assert kept(acme) == [("login.throttled", "address_and_provider")]
    assert start(visitor(), acme).status_code == 200


@pytest.mark.usefixtures("_few")
def test_finished_ones_use_nothing_up(acme: World, corp: IdP) -> None:
    client = visitor()
    for _ in range(5):
        come(client, acme, corp, **person(acme, "alice"))
        client.post("/accounts/logout/")
        other = Client(REMOTE_ADDR=client.defaults["REMOTE_ADDR"])
        come(other, acme, corp, **person(acme, "alice"))
        assert opens(other, acme)


@pytest.mark.usefixtures("_few")
def test_browser_that_came_in_by_the_provider_is_left_alone(acme: World, corp: IdP) -> None:
    known = visitor()
    come(known, acme, corp, **person(acme, "alice"))
    known.post("/accounts/logout/")
    stranger = Client(REMOTE_ADDR=known.defaults["REMOTE_ADDR"])
    assert [start(stranger, acme).status_code for _ in range(4)] == [200] * 3 + [429]
    come(known, acme, corp, **person(acme, "alice"))
    assert opens(known, acme)


@pytest.mark.usefixtures("_few")
def test_journal_keeps_only_so_many_failures_of_a_provider(acme: World, corp: IdP) -> None:
    for number in range(9):
        answer = come(visitor(), acme, corp, sub=f"s-{number}", email=f"x@{domain(acme)}", email_verified=True)
        assert answer.status_code == 403
    assert kept(acme) == [("login.failed", "not_a_member")] * 5 + [("login.throttled", "provider")]
    client = visitor()
    come(client, acme, corp, **person(acme, "alice"))
    assert opens(client, acme)


def test_document_and_keys_are_asked_for_once_in_a_while(acme: World, corp: IdP) -> None:
    for _ in range(4):
        come(visitor(), acme, corp, **person(acme, "alice"))
        start(visitor(), acme)
    assert Counter(corp.asked) == {DISCOVERY: 1, "/jwks": 1, "/token": 4}
    documents.forget()
    come(visitor(), acme, corp, **person(acme, "alice"))
    assert Counter(corp.asked) == {DISCOVERY: 2, "/jwks": 2, "/token": 5}


def test_document_is_kept_for_minutes_only(acme: World, corp: IdP, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "KEPT_S", 0.0)
    begin(visitor(), acme)
    begin(visitor(), acme)
    assert corp.asked == [DISCOVERY] * 2


def test_provider_that_changed_is_asked_anew(acme: World, corp: IdP) -> None:
    begin(visitor(), acme)
    change(acme, issuer=corp.issuer, client_id=CLIENT_ID, name="Another name", domains=[domain(acme)])
    begin(visitor(), acme)
    assert corp.asked == [DISCOVERY] * 2


def test_key_that_is_new_is_looked_for_once(acme: World, corp: IdP) -> None:
    come(visitor(), acme, corp, **person(acme, "alice"))
    corp.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    client = visitor()
    come(client, acme, corp, **person(acme, "alice"))
    assert opens(client, acme)
    assert corp.asked.count("/jwks") == 2
    corp.lies.keys = []
    corp.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    assert b"id_token_key" in come(visitor(), acme, corp, **person(acme, "alice")).content
    assert corp.asked.count("/jwks") == 3


def test_what_is_wrong_is_not_kept(acme: World, corp: IdP) -> None:
    corp.lies.document = {"issuer": "https://elsewhere.example"}
    assert start(visitor(), acme).status_code == 403
    corp.lies.document = {}
    assert start(visitor(), acme).status_code == 200


def test_documents_kept_are_only_so_many_and_not_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "MOST", 2)
    documents.forget()
    for name in ("a", "b", "c"):
        documents.ask(name, "/", lambda: {"issuer": "it"})
    documents.ask("d", "/", lambda: {"keys": "k" * documents.MAX_CHARS})
    assert [documents.kept(name, "/") is not None for name in "abcd"] == [False, True, True, False]
    documents.forget()

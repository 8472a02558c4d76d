"""Identical requests inside an agent's window are served once."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connection

from agents.models import Run
from audit.models import Record
from db.scope import tenant_scope
from tenants.models import Role
from tests.api.conftest import Caller, caller
from tests.worlds import World

Json = Any

SCHEMA = {"type": "object", "properties": {"key": {"type": "string"}, "n": {"type": "number"}}}
BODY = {"agent": "desk", "input": {"key": "a", "n": 1}}


@pytest.fixture(autouse=True)
def desk(acme: World) -> str:
    """An agent that serves identical requests of ten minutes once."""
    acme.define("desk", role="You echo.", input_schema=SCHEMA, limits={"dedupe_s": 600})
    return "desk"


def count(of: World) -> int:
    with tenant_scope(of.tenant_id):
        return Run.objects.count()


def test_the_second_of_two_gets_the_first_ones_run(acme: World, alice: Caller) -> None:
    first = alice.post("runs", BODY)
    again = alice("POST", "runs", raw=b'{"input": {"n": 1, "key": "a"}, "agent": "desk", "priority": 3}')

    assert (first.status, again.status) == (202, 202)
    assert again.json == first.json | {"deduplicated": True}
    assert "deduplicated" not in first.json
    assert again.headers["Location"] == first.headers["Location"]
    assert count(acme) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"input": {"key": "a", "n": 2}},
        {"input": {"key": "a", "n": 1.5}},
        {"budget": {"tokens": 1000}},
        {"metadata": {"case": "7"}},
        {"deadline": "2099-01-01T00:00:00Z"},
    ],
)
def test_what_is_not_the_same_is_another_run(acme: World, alice: Caller, change: Json) -> None:
    alice.post("runs", BODY)
    other = alice.post("runs", BODY | change)

    assert (other.status, "deduplicated" in other.json, count(acme)) == (202, False, 2)


def test_another_version_is_another_request(acme: World, alice: Caller) -> None:
    alice.post("runs", BODY)
    acme.define("desk", role="You echo twice.", input_schema=SCHEMA, limits={"dedupe_s": 600})

    assert "deduplicated" not in alice.post("runs", BODY).json


def test_each_member_and_each_tenant_has_requests_of_their_own(
    acme: World, alice: Caller, bob: Caller, carol: Caller
) -> None:
    dan = acme.member("dan", Role.DEVELOPER)
    acme.grant("run", acme.agent("desk"), dan)
    mine = alice.post("runs", BODY).json

    his = caller(acme, dan).post("runs", BODY)
    for_him = caller(acme, acme.alice, "runs:write", "runs:on_behalf_of").post(
        "runs", BODY | {"on_behalf_of": f"dan@{acme.slug}.example"}
    )

    assert (his.status, for_him.status) == (202, 202)
    assert len({mine["id"], his.json["id"], for_him.json["id"]}) == 3
    assert (bob.post("runs", BODY).status, carol.post("runs", BODY).status) == (403, 404)


def test_keys_say_themselves_what_is_the_same(acme: World, alice: Caller) -> None:
    alice.post("runs", BODY)
    keyed = [alice.post("runs", BODY, Idempotency_Key=key).json["id"] for key in ("a", "b", "a")]

    assert (keyed[0], len(set(keyed)), count(acme)) == (keyed[2], 2, 3)


def test_a_cancelled_run_is_not_served_again(acme: World, alice: Caller) -> None:
    first = alice.post("runs", BODY).json["id"]
    assert alice.post(f"runs/{first}/cancel").status == 202

    assert alice.post("runs", BODY).json["id"] != first


@pytest.mark.parametrize(
    "left", [lambda run: {"status": "failed"}, lambda run: {"created_at": run.created_at - timedelta(seconds=601)}]
)
def test_nor_is_one_that_failed_or_is_older_than_the_window(
    acme: World, alice: Caller, left: Callable[[Run], Json]
) -> None:
    first = alice.post("runs", BODY).json["id"]
    with tenant_scope(acme.tenant_id):
        run = Run.objects.get(id=first)
        Run.objects.filter(id=first).update(**left(run))

    assert alice.post("runs", BODY).json["id"] != first


def test_without_a_window_each_request_is_a_run(acme: World, alice: Caller, echo: str) -> None:
    ids = {alice.post("runs", {"agent": echo, "input": {"key": "a"}}).json["id"] for _ in range(2)}

    assert len(ids) == 2
    with tenant_scope(acme.tenant_id):
        assert set(Run.objects.filter(agent__slug=echo).values_list("dedupe_key", flat=True)) == {None}


def test_64_at_once_start_one(acme: World, alice: Caller) -> None:
    def post(_: int) -> Json:
        try:
            return alice.post("runs", BODY).json
        finally:
            connection.close()

    with ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(post, range(64)))

    assert len({answer["id"] for answer in answers}) == 1
    assert sum("deduplicated" in answer for answer in answers) == 63
    assert count(acme) == 1


def test_what_is_kept_tells_nothing_of_the_input(acme: World, alice: Caller) -> None:
    run_id = UUID(alice.post("runs", BODY).json["id"])

    with tenant_scope(acme.tenant_id):
        run = Run.objects.get(id=run_id)
        assert run.dedupe_key is not None
        assert len(run.dedupe_key) == 64
        assert run.dedupe_key not in str(list(Record.objects.values_list("facts", flat=True)))


def test_the_twin_is_found_by_its_index(acme: World, alice: Caller) -> None:
    alice.post("runs", BODY)
    with tenant_scope(acme.tenant_id), connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(
            "EXPLAIN SELECT id FROM agents_run WHERE tenant_id = %s AND dedupe_key = 'x' AND status <> 'failed'"
            " AND created_at > now() - interval '1 minute' ORDER BY created_at DESC LIMIT 1",
            [acme.tenant_id],
        )
        assert "run_by_dedupe_key" in "\n".join(row[0] for row in cursor.fetchall())

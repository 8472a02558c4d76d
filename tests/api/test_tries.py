"""Trying a tool over REST: one real call, for the one who asks, and a record of it before and after."""

import json
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.conf import settings as django_settings

from agents.actions import policies, tries
from agents.engine import toolbox
from agents.tools.places import places
from agents.tools.python import tool
from agents.tools.registry import build_registry
from agents.tools.seam import NoLongerOurs
from audit.models import Payload, Record
from db.scope import tenant_scope
from egress.client import Client
from tenants.models import Role
from tests.api.conftest import Caller, caller
from tests.egress.servers import Seen, answer, serve
from tests.ops.processes import eventually
from tests.worlds import LEDGER, LOOKUP, PAY, World, world

Json = Any
GO = threading.Event()


@tool("test_waits")
def waits(key: str) -> str:
    """Answer when the test lets it."""
    LEDGER.note(f"waits {key}")
    GO.wait(20)
    return key


@tool("test_long")
def long(key: str) -> str:
    """Return more than a model is shown."""
    return key * 400_000


def define(alice: Caller, name: str, spec: Json) -> None:
    made = alice.put(f"tools/{name}", {"spec": spec}, If_None_Match="*")
    assert made.status == 201, made.content


def records(of: World) -> list[tuple[str, str, dict[str, Json], Json]]:
    """The records of tries: type, outcome, facts and payload."""
    with tenant_scope(of.tenant_id):
        found = Record.objects.filter(action__startswith="tool.tr").order_by("id")
        payloads = dict(
            Payload.objects.filter(record_id__in=[each.id for each in found]).values_list("record_id", "value")
        )
        told = [(each.action, each.outcome, each.facts, json.loads(payloads[each.id])) for each in found]
    assert all(facts.pop("via").startswith("key:") for _, _, facts, _ in told)
    return told


def test_a_tool_is_called_once_and_both_its_beginning_and_its_end_are_recorded(acme: World, alice: Caller) -> None:
    define(alice, "lookup", LOOKUP)
    key = f"tried {acme.slug}"

    tried = alice.post("tools/lookup/try", {"arguments": {"key": key}})

    result = {"key": key, "value": f"value of {key}"}
    assert tried.status == 200
    assert tried.json == {
        "try": tried.json["try"],
        "version": 1,
        "outcome": "finished",
        "result": result,
        "truncated": False,
        "error": None,
    }
    assert LEDGER.effects[f"lookup {key}"] == 1
    begun, ended = records(acme)
    facts = {"try": tried.json["try"], "version": 1}
    assert begun == ("tool.try_begun", "ok", facts | {"confirmed": False}, {"arguments": {"key": key}})
    assert ended == ("tool.tried", "ok", facts | {"became": "finished"}, {"result": result})


def test_a_tools_failure_is_an_answer(acme: World, alice: Caller) -> None:
    define(alice, "fail", LOOKUP | {"python": {"function": "test_fail"}})

    tried = alice.post("tools/fail/try", {"arguments": {"key": "a"}})

    assert (tried.status, tried.json["outcome"], tried.json["result"]) == (200, "failed", None)
    assert tried.json["error"] == {"code": "raised", "detail": "RuntimeError: no a today", "retryable": False}
    _, (action, outcome, facts, payload) = records(acme)
    assert (action, outcome, facts["became"], facts["code"]) == ("tool.tried", "failed", "failed", "raised")
    assert payload == {"error": "RuntimeError: no a today"}


def test_a_write_that_may_have_been_done_is_unknown(acme: World, alice: Caller) -> None:
    define(alice, "fail", LOOKUP | {"python": {"function": "test_fail"}, "effect": "write"})

    tried = alice.post("tools/fail/try", {"arguments": {"key": "a"}})

    assert (tried.json["outcome"], tried.json["error"]["code"]) == ("unknown", "outcome_unknown")
    assert records(acme)[1][2]["became"] == "unknown"


@pytest.mark.parametrize(
    ("arguments", "pointers"),
    [({}, ["/arguments"]), ({"key": 7}, ["/arguments/key"]), ({"key": "a", "n": 2**60}, ["/arguments"])],
)
def test_arguments_that_do_not_fit_are_refused_with_their_places(
    acme: World, alice: Caller, arguments: Json, pointers: list[str]
) -> None:
    define(alice, "lookup", LOOKUP)

    refused = alice.post("tools/lookup/try", {"arguments": arguments})

    assert (refused.status, refused.code, refused.pointers) == (422, "invalid_arguments", pointers)
    assert records(acme) == []


@pytest.mark.parametrize(
    "body", [{}, {"arguments": []}, {"arguments": {}, "confirm": "yes"}, {"arguments": {}, "more": 1}]
)
def test_a_body_of_another_form_is_refused(acme: World, alice: Caller, body: Json) -> None:
    define(alice, "lookup", LOOKUP)

    assert alice.post("tools/lookup/try", body).code == "invalid_body"


def test_what_cannot_be_undone_is_done_only_if_it_is_meant(acme: World, alice: Caller) -> None:
    define(alice, "pay", PAY)
    arguments = {"amount": 5, "to": f"tried {acme.slug}"}

    refused = alice.post("tools/pay/try", {"arguments": arguments})
    assert (refused.status, refused.code) == (422, "confirmation_required")
    assert (LEDGER.effects[f"pay 5 to tried {acme.slug}"], records(acme)) == (0, [])

    made = alice.post("tools/pay/try", {"arguments": arguments, "confirm": True})
    assert (made.status, made.json["outcome"]) == (200, "finished")
    assert LEDGER.effects[f"pay 5 to tried {acme.slug}"] == 1
    assert records(acme)[0][2]["confirmed"] is True


def test_a_call_that_people_approve_is_not_made_whatever_is_confirmed(acme: World, alice: Caller) -> None:
    define(alice, "pay", PAY | {"approval": {"when": "args.amount > 100"}})
    to = f"approved {acme.slug}"

    refused = alice.post("tools/pay/try", {"arguments": {"amount": 101, "to": to}, "confirm": True})
    assert (refused.status, refused.code, records(acme)) == (409, "needs_approval", [])
    made = alice.post("tools/pay/try", {"arguments": {"amount": 100, "to": to}, "confirm": True})
    assert made.json["outcome"] == "finished"
    assert (LEDGER.effects[f"pay 101 to {to}"], LEDGER.effects[f"pay 100 to {to}"]) == (0, 1)


@pytest.mark.parametrize(("then", "code"), [("approve", "needs_approval"), ("deny", "denied_by_policy")])
def test_a_policy_holds_for_tries_too(acme: World, alice: Caller, then: str, code: str) -> None:
    define(alice, "pay", PAY)
    acme.define("other", role="Does nothing here.")
    when = "args.amount > 100 && principal.role == 'operator' && !taint"
    with tenant_scope(acme.tenant_id):
        policies.put("large", {"applies_to": {"tools": ["pay"]}, "when": when, "then": then}, acting_as=acme.alice)
        policies.put("elsewhere", {"applies_to": {"agents": ["other"]}, "then": "deny"}, acting_as=acme.alice)
    to = f"policy {acme.slug}"

    refused = alice.post("tools/pay/try", {"arguments": {"amount": 101, "to": to}, "confirm": True})
    assert (refused.status, refused.code, records(acme)) == (409, code, [])
    assert "policy large" in refused.json["detail"]
    made = alice.post("tools/pay/try", {"arguments": {"amount": 100, "to": to}, "confirm": True})
    assert made.json["outcome"] == "finished"
    assert (LEDGER.effects[f"pay 101 to {to}"], LEDGER.effects[f"pay 100 to {to}"]) == (0, 1)


def test_who_may_not_write_tools_tries_none(acme: World, alice: Caller, bob: Caller) -> None:
    define(alice, "lookup", LOOKUP)
    body = {"arguments": {"key": f"nobody {acme.slug}"}}

    assert bob.post("tools/lookup/try", body).code == "forbidden"
    dev = caller(acme, acme.member("dev", Role.DEVELOPER), "tools:read", "tools:write")
    assert dev.post("tools/lookup/try", body).code == "forbidden"
    assert caller(acme, acme.alice, "tools:read").post("tools/lookup/try", body).code == "missing_scope"
    other = world()
    carol = caller(other, other.alice, "tools:read", "tools:write")
    hidden, absent = carol.post("tools/lookup/try", body), carol.post("tools/nothing/try", body)
    assert (hidden.status, hidden.content) == (404, absent.content)
    assert (LEDGER.effects[f"lookup nobody {acme.slug}"], records(acme)) == (0, [])


def test_a_name_that_is_no_tools_is_not_found(alice: Caller) -> None:
    for name in ("nothing", "escalate_to_human", "%20"):
        assert alice.post(f"tools/{name}/try", {"arguments": {}}).code == "not_found"


def test_the_intent_is_durable_before_the_call_and_no_connection_is_held(acme: World, alice: Caller) -> None:
    define(alice, "slow", LOOKUP | {"python": {"function": "test_waits"}})
    GO.clear()
    with ThreadPoolExecutor(1) as pool:
        try:
            tried = pool.submit(alice.post, "tools/slow/try", {"arguments": {"key": acme.slug}})
            while not LEDGER.effects[f"waits {acme.slug}"]:
                assert not tried.done(), tried.result().content
            assert [each[0] for each in records(acme)] == ["tool.try_begun"]
        finally:
            GO.set()
        assert tried.result().json["outcome"] == "finished"
    assert [each[0] for each in records(acme)] == ["tool.try_begun", "tool.tried"]


def test_only_so_many_are_under_way_at_once(acme: World, alice: Caller) -> None:
    define(alice, "lookup", LOOKUP)
    body = {"arguments": {"key": "a"}}
    taken = 0
    try:
        while tries._places.acquire(blocking=False):
            taken += 1
        refused = alice.post("tools/lookup/try", body)
    finally:
        for _ in range(taken):
            tries._places.release()

    assert taken == tries.AT_ONCE
    assert (refused.status, refused.code, records(acme)) == (429, "too_many_tries", [])
    assert alice.post("tools/lookup/try", body).status == 200


# The way out


def test_a_try_waits_for_one_of_the_tools_places(acme: World, alice: Caller) -> None:
    define(alice, "waits", LOOKUP | {"python": {"function": "test_waits"}, "concurrency": 1, "timeout_s": 60})
    GO.clear()
    with ThreadPoolExecutor(2) as threads:
        try:
            keys = [f"{number} {acme.slug}" for number in range(2)]
            tried = [threads.submit(alice.post, "tools/waits/try", {"arguments": {"key": key}}) for key in keys]
            assert eventually(lambda: sum(turns.users for turns in places._turns.values()) == 2)
            assert eventually(lambda: sum(LEDGER.effects[f"waits {key}"] for key in keys) == 1)
        finally:
            GO.set()
        assert [each.result().json["outcome"] for each in tried] == ["finished", "finished"]


def test_tries_pass_the_breaker_by(acme: World, alice: Caller) -> None:
    guards = {"concurrency": 2, "breaker": {"failures": 1, "open_s": 600}}
    define(alice, "fail", LOOKUP | {"python": {"function": "test_fail"}} | guards)

    tried = [alice.post("tools/fail/try", {"arguments": {"key": "a"}}) for _ in range(2)]

    assert [each.json["error"]["code"] for each in tried] == ["raised", "raised"]
    assert alice.get("tools/fail").json["breaker"]["state"] == "closed"


@pytest.fixture
def crm(monkeypatch: pytest.MonkeyPatch) -> Iterator[Seen]:
    """A server that repeats what it was sent, which this installation lets calls reach."""

    def echo(sock: socket.socket, request: bytes, nth: int) -> None:
        sock.sendall(answer(request, content_type="text/plain"))

    with serve(echo) as seen:
        client = Client(frozenset({("127.0.0.1", seen.port)}))
        kinds = build_registry(client=client, sources_dir=django_settings.DATA_DIR / "sources")
        monkeypatch.setattr(tries, "registry", lambda: kinds)
        yield seen


def test_the_tenants_secret_goes_out_and_never_comes_back(acme: World, alice: Caller, crm: Seen) -> None:
    http = {"method": "POST", "url": f"{crm.url}/notes", "auth": {"type": "bearer", "secret": "crm"}}
    alice.put("secrets/crm", {"value": "hunter2-hunter2"})
    define(alice, "note", {"description": "Note.", "type": "http", "http": http, "effect": "write"})

    tried = alice.post("tools/note/try", {"arguments": {"text": "hello"}})

    assert b"Authorization: Bearer hunter2-hunter2" in crm.requests[0]
    assert f"Idempotency-Key: try-{tried.json['try']}".encode() in crm.requests[0]
    assert "Authorization: Bearer [redacted]" in tried.json["result"]
    assert "hunter2" not in tried.content.decode()
    assert "hunter2" not in str(records(acme))
    assert alice("DELETE", "secrets/crm").code == "secret_in_use"


def test_a_place_within_the_network_is_not_called(acme: World, alice: Caller) -> None:
    http = {"url": "http://169.254.169.254/latest"}
    define(alice, "inside", {"description": "Peek.", "type": "http", "http": http})

    tried = alice.post("tools/inside/try", {"arguments": {}})

    assert (tried.status, tried.json["error"]["code"]) == (200, "egress_denied")


def test_a_large_result_is_cut_in_the_answer_and_whole_in_the_record(acme: World, alice: Caller) -> None:
    define(alice, "long", LOOKUP | {"python": {"function": "test_long"}})

    tried = alice.post("tools/long/try", {"arguments": {"key": "x"}})

    assert tried.json["truncated"] is True
    assert len(tried.content) < 300_000
    payload = records(acme)[1][3]
    assert payload["result"] == tried.json["result"]
    assert json.loads(payload["whole"]["json"]) == "x" * 400_000


def test_a_try_commits_and_so_cannot_be_a_part_of_anything(acme: World, alice: Caller) -> None:
    define(alice, "lookup", LOOKUP)

    with tenant_scope(acme.tenant_id), pytest.raises(RuntimeError):
        tries.make("lookup", {"key": "a"}, acting_as=acme.alice)


def test_who_waits_for_the_platforms_database_gives_up(acme: World) -> None:
    with pytest.raises(NoLongerOurs):
        toolbox.TryContext(acme.tenant_id, acme.alice.user_id, until=0.0).begin()

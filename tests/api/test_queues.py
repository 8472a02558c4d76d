"""Queues over REST: who works them, and what is refused of them."""

from typing import Any

from tenants.models import Role
from tests.api.conftest import Caller, caller
from tests.worlds import World

Json = Any


def operator(acme: World) -> Caller:
    return caller(acme, acme.alice, "agents:read", "agents:write", "people:read")


def test_a_queue_is_defined_read_and_replaced(acme: World) -> None:
    alice, rita = operator(acme), f"rita@{acme.slug}.example"
    made = alice.put("queues/credit", {"spec": {"members": [rita], "due_s": 600}}, If_None_Match="*")
    assert (made.status, made.json["spec"]) == (201, {"members": [rita], "teams": [], "due_s": 600})
    etag = str(alice.get("queues/credit").headers["ETag"])
    assert alice.put("queues/leads", {"spec": {"escalate_to": "credit"}}, If_None_Match="*").status == 201
    changed = alice.put("queues/credit", {"spec": {"due_s": 900, "escalate_to": "leads"}}, If_Match=etag)
    assert (changed.status, changed.json["spec"]["members"]) == (200, [])
    assert alice.put("queues/credit", {"spec": {}}, If_Match=etag).code == "precondition_failed"
    assert [each["slug"] for each in alice.get("queues").json["results"]] == ["leads", "credit"]


def test_whom_or_what_there_is_not_is_refused_with_its_place(acme: World) -> None:
    alice = operator(acme)

    def refused(spec: Json) -> list[str]:
        answer = alice.put("queues/credit", {"spec": spec}, If_None_Match="*")
        assert (answer.status, answer.code) == (422, "invalid_document")
        return [each["pointer"] for each in answer.json["errors"]]

    assert refused({"members": ["nobody@nowhere.example"]}) == ["/spec/members/0"]
    assert refused({"teams": ["none"]}) == ["/spec/teams/0"]
    assert refused({"escalate_to": "none"}) == ["/spec/escalate_to"]
    assert refused({"due_s": 1, "speed": 9}) == ["/spec/speed", "/spec/due_s"]
    assert alice.get("queues").json["results"] == []


def test_a_reviewer_neither_reads_who_works_queues_nor_changes_it(acme: World) -> None:
    sam = caller(acme, acme.member("sam", Role.REVIEWER), "agents:read", "agents:write", "people:read")
    operator(acme).put("queues/credit", {"spec": {}}, If_None_Match="*")
    assert sam.get("queues").status == 403
    assert sam.get("queues/credit").status == 403
    assert sam.put("queues/credit", {"spec": {}}, If_Match="*").status == 403

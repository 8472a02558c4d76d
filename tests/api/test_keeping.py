"""Holds, erasures and terms over REST, from the request to the confirmation."""

from typing import Any

import pytest

from db.models import new_id
from db.scope import tenant_scope
from retention.actions import terms
from tenants.models import Role
from tenants.scopes import SCOPES
from tests.api.conftest import Caller, caller
from tests.retention.conftest import Keep, keep

__all__ = ["keep"]

Json = Any


@pytest.fixture
def cora(keep: Keep) -> Caller:
    """Compliance staff, by a key of hers."""
    return caller(keep.world, keep.cora, *SCOPES)


@pytest.fixture
def olga(keep: Keep) -> Caller:
    """The owner, by a key of hers."""
    return caller(keep.world, keep.olga, *SCOPES)


def test_an_erasure_from_request_to_its_end(keep: Keep, cora: Caller, olga: Caller) -> None:
    run = keep.ended("4711")

    asked = cora.post("audit/erasures", {"subject": "4711", "reason": "Request 88"})
    assert asked.status == 201
    assert (asked.json["status"], asked.json["preview"]["runs"]) == ("asked", [str(run.id)])
    path = f"audit/erasures/{asked.json['id']}"
    assert (own := cora.post(f"{path}/confirm")).status == 403
    assert own.code == "same_person"
    assert olga.get(path).json["subject"] == "4711"
    assert olga.post(f"{path}/confirm").json["left"] == 1

    keep.work(keep.order(asked.json["id"]))

    done = olga.get(path).json
    assert (done["status"], done["subject"], done["runs"], done["left"]) == ("done", None, 1, 0)
    assert done["decided_by"] == f"olga@{keep.world.slug}.example"
    first = olga.get(f"audit/records?run={run.id}&action=run.submitted").json["results"][0]["id"]
    record = olga.get(f"audit/records/{first}").json
    assert (record["payload"], record["erased_why"]) == (None, f"erased: on request {done['id']}")
    assert olga.get(f"runs/{run.id}").status == 200
    assert olga.get(f"runs/{run.id}/events").status == 200


def test_a_hold_from_request_to_release(keep: Keep, cora: Caller, olga: Caller) -> None:
    keep.ended("4711")
    made = cora.post("audit/holds", {"subject": "4711", "reason": "Case 12"}).json
    path = f"audit/holds/{made['id']}"
    assert olga.post(f"{path}/confirm").json["status"] == "confirmed"
    refused = cora.post("audit/erasures", {"subject": "4711", "reason": "Request 88"})
    assert (refused.status, refused.code) == (409, "on_hold")

    named = olga.post(f"{path}/release", {"reason": "of 4711"})
    assert (named.status, named.code) == (422, "reason_names_subject")
    release = olga.post(f"{path}/release", {"reason": "settled"}).json["release"]
    assert release["status"] == "asked"
    again = olga.post(f"{path}/confirm")  # what confirmed the hold, sent again: no release is meant by it
    assert (again.status, again.code) == (409, "order_already_decided")
    which = {"order": release["id"]}
    assert olga.post(f"{path}/confirm", which).code == "same_person"
    assert cora.post(f"{path}/confirm", {"order": str(new_id())}).status == 404
    assert cora.post(f"{path}/confirm", which).json["status"] == "released"

    assert cora.post("audit/erasures", {"subject": "4711", "reason": "Request 88"}).status == 201
    assert [each["id"] for each in cora.get("audit/holds").json["results"]] == [made["id"]]


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("audit/holds", {"reason": "r"}, 422),
        ("audit/holds", {"reason": "r", "subject": "a", "agent": "teller"}, 422),
        ("audit/holds", {"reason": "r", "subject": "  "}, 422),
        ("audit/holds", {"reason": "r", "run": "4711"}, 422),
        ("audit/holds", {"reason": "r", "run": "00000000-0000-7000-8000-000000000000"}, 404),
        ("audit/holds", {"reason": "r", "agent": "nobody"}, 404),
        ("audit/holds", {"reason": "r", "from": "2030-01-02T00:00:00Z", "to": "2030-01-01T00:00:00Z"}, 422),
        ("audit/erasures", {"reason": "r", "subject": " "}, 422),
        ("audit/erasures", {"subject": "4711"}, 422),
        ("audit/retention/changes", {"reason": "r", "terms": {"runs": 1}}, 422),
        ("audit/retention/changes", {"reason": "r", "terms": {"jokes": 30}}, 422),
        ("audit/retention/changes", {"reason": "r", "terms": {}}, 422),
    ],
)
def test_what_cannot_be_asked_for_is_refused(cora: Caller, path: str, body: Json, status: int) -> None:
    answer = cora.post(path, body)

    assert answer.status == status, answer.content


def test_terms_from_request_to_the_dry_run(keep: Keep, cora: Caller, olga: Caller) -> None:
    keep.old(40)
    made = cora.post("audit/retention/changes", {"terms": {"runs": 30.0, "sign_in": None}, "reason": "R-7"}).json
    assert olga.post(f"audit/retention/changes/{made['id']}/confirm").json["status"] == "done"

    listed = {each["class"]: each for each in olga.get("audit/retention?count=true").json["results"]}

    assert (listed["runs"]["days"], listed["runs"]["due"], listed["decisions"]["days"]) == (30, 1, None)
    with tenant_scope(keep.world.tenant_id):
        assert terms.in_force()["runs"] == 30


def test_a_services_account_neither_asks_nor_confirms_whatever_its_role(keep: Keep, cora: Caller, olga: Caller) -> None:
    account = olga.post("service-accounts", {"name": "robot", "role": Role.COMPLIANCE}).json["id"]
    key = olga.post("keys", {"name": "k", "scopes": ["audit:hold", "audit:read"], "service_account": account}).json
    robot = Caller(None, key["key"])
    made = cora.post("audit/holds", {"agent": "teller", "reason": "Case 12"}).json

    for path, body in (
        ("audit/holds", {"agent": "teller", "reason": "r"}),
        (f"audit/holds/{made['id']}/confirm", None),
    ):
        answer = robot.post(path, body)
        assert (answer.status, answer.code) == (403, "not_a_person"), answer.content

"""Escalations over REST: who sees them, and one decision."""

from collections.abc import Callable
from uuid import UUID, uuid4

import pytest

from agents.engine.driver import Driver
from agents.models import Run
from tenants.models import Role
from tests.api.conftest import Caller, caller, member, start
from tests.worlds import LEDGER, PAY, World

Settles = Callable[[World, UUID], Run]


@pytest.fixture
def asked(acme: World, alice: Caller, driver: Driver, settles: Settles) -> str:
    """The id of an open escalation: a payment to approve."""
    acme.define("payer", role="You pay.", tool_specs={"pay": PAY})
    acme.grant("review", acme.agent("payer"), acme.rita)
    run = start(alice, "payer", input={"to": acme.slug})
    assert settles(acme, run).waiting_for == "decision"
    [escalation] = alice.get(f"runs/{run}").json["escalations"]
    return str(escalation)


def test_a_question_says_what_is_proposed_and_why(acme: World, rita: Caller, asked: str) -> None:
    question = rita.get(f"escalations/{asked}").json

    assert question["kind"] == "tool_call"
    assert question["status"] == "open"
    assert question["proposal"]["tool"] == "pay"
    assert question["proposal"]["arguments"] == {"amount": 500, "to": acme.slug}
    assert len(question["proposal"]["digest"]) == 64
    assert question["approvals"] == {"required": 1, "given": 0}
    assert question["evidence"] == []
    [listed] = rita.get("escalations?status=open&kind=tool_call").json["results"]
    assert listed == {
        key: value for key, value in question.items() if key not in {"evidence", "consequences", "cost_usd"}
    }
    assert rita.get("escalations?status=decided").json["results"] == []
    assert rita.get("escalations?queue=credit").json["results"] == []


def test_an_approval_decides_once_and_the_run_goes_on(
    acme: World, alice: Caller, rita: Caller, asked: str, settles: Settles
) -> None:
    question = rita.get(f"escalations/{asked}").json
    answer = {"decision": "approve", "digest": question["proposal"]["digest"], "reason": "Agreed."}
    owner = caller(acme, member(acme, Role.OWNER, "olga"))

    decided = rita.post(f"escalations/{asked}/decide", answer)
    again = owner.post(f"escalations/{asked}/decide", answer)
    malformed = owner.post(f"escalations/{asked}/decide", {})

    assert (decided.status, decided.json["status"], decided.json["decision"]) == (200, "decided", "approve")
    assert (again.status, again.code) == (409, "already_decided")
    assert (malformed.status, malformed.code) == (409, "already_decided")
    while settles(acme, UUID(question["run"])).status != "completed":
        pass
    assert LEDGER.effects[f"pay 500 to {acme.slug}"] == 1


def test_nothing_is_decided_on_a_digest_that_was_not_seen(rita: Caller, asked: str) -> None:
    answer = rita.post(f"escalations/{asked}/decide", {"decision": "approve", "digest": "0" * 64})

    assert (answer.status, answer.code) == (412, "digest_differs")
    assert rita.get(f"escalations/{asked}").json["status"] == "open"


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({}, ["/decision", "/digest"]),
        ({"decision": "maybe", "digest": "x"}, ["/decision"]),
        ({"decision": "approve", "digest": "x", "arguments": {}}, ["/arguments"]),
        ({"decision": "approve", "digest": "x", "note": "y"}, ["/note"]),
    ],
)
def test_a_wrong_answer_is_refused_with_its_place(
    rita: Caller, asked: str, body: dict[str, object], pointers: list[str]
) -> None:
    answer = rita.post(f"escalations/{asked}/decide", body)

    assert (answer.status, answer.code, answer.pointers) == (422, "invalid_body", pointers)


def test_only_who_may_decide_decides(acme: World, alice: Caller, bob: Caller, carol: Caller, asked: str) -> None:
    digest = alice.get(f"escalations/{asked}").json["proposal"]["digest"]
    answer = {"decision": "approve", "digest": digest}
    stranger = caller(acme, member(acme, Role.REVIEWER, "roy"))
    narrow = caller(acme, acme.rita, "runs:read", "escalations:read")

    refusals = {
        "requester": alice.post(f"escalations/{asked}/decide", answer),
        "viewer": bob.post(f"escalations/{asked}/decide", answer),
        "scope": narrow.post(f"escalations/{asked}/decide", answer),
        "ungranted": stranger.post(f"escalations/{asked}/decide", answer),
        "tenant": carol.post(f"escalations/{asked}/decide", answer),
    }

    assert {who: (refusal.status, refusal.code) for who, refusal in refusals.items()} == {
        "requester": (403, "own_request"),
        "viewer": (403, "forbidden"),
        "scope": (403, "missing_scope"),
        "ungranted": (404, "not_found"),
        "tenant": (404, "not_found"),
    }
    assert stranger.get("escalations").json["results"] == []
    nonexistent = carol.post(f"escalations/{uuid4()}/decide", answer)
    assert refusals["ungranted"].content == refusals["tenant"].content == nonexistent.content


@pytest.mark.parametrize("raw", [b"{", b"{}", b'{"decision": "approve", "digest": "0"}'])
def test_who_may_not_decide_is_told_before_anything_about_the_answer(alice: Caller, asked: str, raw: bytes) -> None:
    """Alice asked for it herself."""
    answer = alice("POST", f"escalations/{asked}/decide", raw=raw)

    assert (answer.status, answer.code) == (403, "own_request")

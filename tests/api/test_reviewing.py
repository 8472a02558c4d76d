"""Reviewing over REST, from the question to what came of it, while a driver drives the runs."""

import json
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import pytest
from standardwebhooks import Webhook

from agents.engine.driver import Driver
from agents.models import Run
from db.scope import tenant_scope
from egress import installed
from escalations.models import Escalation
from tenants.models import Role
from tests.agents.engine.waiting import ended
from tests.api.conftest import Caller, caller, member, start
from tests.escalations.asking import queue
from tests.webhooks.receiver import Receiver, receiving
from tests.worlds import LEDGER, PAY, World

Json = Any
Settles = Callable[[World, UUID], Run]


@pytest.fixture
def receiver(settings: Any) -> Iterator[Receiver]:
    """Somebody outside."""
    with receiving() as made:
        settings.EGRESS_ALLOW = (made.place,)
        installed.client.cache_clear()
        yield made
    installed.client.cache_clear()


def ask(acme: World, alice: Caller, settles: Settles, *, undo_s: int = 0, **more: Json) -> Json:
    """A payment that waits in the queue credit, which Rita works; returns the run."""
    queue(acme, "credit", "rita", due_s=3600, undo_s=undo_s)
    acme.define("payer", role="You pay.", tool_specs={"pay": PAY}, review={"queue": "credit"}, **more)
    run = start(alice, "payer", input={"to": acme.slug})
    assert settles(acme, run).waiting_for == "decision"
    return alice.get(f"runs/{run}").json


def finished(acme: World, run: str) -> str:
    """The status with which the run ends."""
    return ended(acme, acme.run(UUID(run))).status


def test_a_question_is_taken_on_handed_over_and_found_by_whose_it_is(
    acme: World, alice: Caller, rita: Caller, driver: Driver, settles: Settles
) -> None:
    [asked] = ask(acme, alice, settles)["escalations"]
    place = f"escalations/{asked}"
    mail = f"rita@{acme.slug}.example"

    assert rita.post(f"{place}/claim").json["claimed_by"] == mail
    assert [each["id"] for each in rita.get("escalations?assignee=me&order=priority").json["results"]] == [asked]
    assert rita.get("escalations?assignee=none").json["results"] == []
    assert rita.post(f"{place}/release").json["assignee"] is None
    assert rita.post(f"{place}/assign", {"to": mail}).json["assignee"] == mail
    late = rita.post(f"{place}/snooze", {"until": "2099-01-01T00:00:00Z"})
    assert (late.status, late.code) == (422, "bad_time")
    shown = rita.get(place).json
    assert shown["priority"] > 0
    assert set(shown["consequences"]) == set(shown["allowed"])


def test_an_answer_is_taken_back_and_given_again_and_the_call_is_made_once(
    acme: World, alice: Caller, rita: Caller, driver: Driver, settles: Settles
) -> None:
    run = ask(acme, alice, settles, undo_s=600)
    [asked] = run["escalations"]
    digest = rita.get(f"escalations/{asked}").json["proposal"]["digest"]
    yes = {"decision": "approve", "digest": digest}

    first = rita.post(f"escalations/{asked}/decide", yes).json
    assert (first["status"], first["can_be_undone"]) == ("decided", True)
    assert rita.post(f"escalations/{asked}/undo").json["status"] == "open"
    assert rita.post(f"escalations/{asked}/undo").code == "in_effect"
    assert rita.post(f"escalations/{asked}/decide", yes).status == 200
    with tenant_scope(acme.tenant_id):
        row = Escalation.objects.get(id=asked)
        Escalation.objects.filter(id=asked).update(effective_at=row.decided_at, look_at=row.decided_at)

    assert finished(acme, run["id"]) == "completed"
    assert LEDGER.effects[f"pay 500 to {acme.slug}"] == 1
    told = [each["type"] for each in alice.get(f"runs/{run['id']}/events").json["results"]]
    order = ["decision.answered", "decision.undone", "decision.answered", "decision.made", "run.resumed"]
    assert [each for each in told if each in order] == order


def test_many_are_decided_at_once_but_nothing_great_unopened(
    acme: World, alice: Caller, rita: Caller, carol: Caller, driver: Driver, settles: Settles
) -> None:
    run = ask(acme, alice, settles)
    [asked] = run["escalations"]
    [listed] = rita.get("escalations").json["results"]
    item = {"id": asked, "digest": listed["proposal"]["digest"]}
    body = {"decision": "reject", "items": [item, {**item, "id": str(UUID(int=7))}], "reason": "Not now."}

    def outcome(who: Caller) -> list[tuple[int, str | None]]:
        return [(each["status"], each["code"]) for each in who.post("escalations/decide", body).json["results"]]

    assert outcome(alice) == [(403, "own_request"), (404, "not_found")]
    assert outcome(carol) == [(404, "not_found"), (404, "not_found")]
    assert outcome(rita) == [(409, "not_opened"), (404, "not_found")]
    rita.get(f"escalations/{asked}")
    assert outcome(rita) == [(200, None), (404, "not_found")]
    assert outcome(rita)[0] == (409, "already_decided")


def test_who_stands_in_sees_and_decides_for_as_long_as_it_lasts(
    acme: World, alice: Caller, rita: Caller, bob: Caller, driver: Driver, settles: Settles
) -> None:
    [asked] = ask(acme, alice, settles)["escalations"]
    roy = caller(acme, member(acme, Role.REVIEWER, "roy"))
    assert roy.get(f"escalations/{asked}").status == 404
    times = {"from": "2020-01-01T00:00:00Z", "until": "2020-02-01T00:00:00Z"}
    past = rita.post("delegations", {"to": f"roy@{acme.slug}.example", **times})
    assert (past.status, past.code) == (422, "bad_time")
    times = {"from": "2026-01-01T00:00:00Z", "until": "2026-12-31T00:00:00Z"}

    made = rita.post("delegations", {"to": f"roy@{acme.slug}.example", **times})

    assert made.status == 201
    assert bob.get("delegations").status == 403
    assert roy.get(f"escalations/{asked}").status == 200
    assert roy("DELETE", f"delegations/{made.json['id']}").status == 204
    assert roy.get(f"escalations/{asked}").status == 404


def test_a_run_that_was_ended_is_tried_again_and_told_something(
    acme: World, alice: Caller, rita: Caller, driver: Driver, settles: Settles
) -> None:
    run = ask(acme, alice, settles)
    assert alice.post(f"runs/{run['id']}/retry", {"from": "step"}).code == "run_not_ended"
    assert alice.post(f"runs/{run['id']}/guidance", {"message": "Ada moved."}).status == 202
    alice.post(f"runs/{run['id']}/cancel")
    assert finished(acme, run["id"]) == "cancelled"

    again = alice.post(f"runs/{run['id']}/retry", {"from": "start"}, Idempotency_Key="again")
    assert again.status == 202
    assert (
        alice.post(f"runs/{run['id']}/retry", {"from": "start"}, Idempotency_Key="again").json["id"]
        == (again.json["id"])
    )
    assert alice.get(f"runs/{again.json['id']}").json["retry_of"] == run["id"]
    assert settles(acme, UUID(again.json["id"])).waiting_for == "decision"


def test_a_decision_is_appealed_against_and_others_decide_that(
    acme: World, alice: Caller, rita: Caller, driver: Driver, settles: Settles
) -> None:
    queue(acme, "appeals", "rita")
    run = ask(acme, alice, settles, appeal={"allowed": True, "within_s": 3600, "to": "appeals"})
    [asked] = run["escalations"]
    digest = rita.get(f"escalations/{asked}").json["proposal"]["digest"]
    early = alice.post(f"runs/{run['id']}/appeal", {"reason": "Too early."})
    assert (early.status, early.code) == (409, "no_appeal")
    rita.post(f"escalations/{asked}/decide", {"decision": "approve", "digest": digest})
    assert finished(acme, run["id"]) == "completed"
    assert alice.get(f"runs/{run['id']}").json["appeal"]["allowed"] is True

    appealed = alice.post(f"runs/{run['id']}/appeal", {"reason": "Paid the wrong one."})

    assert appealed.status == 202
    item = appealed.json["appeal"]["escalation"]
    own = rita.post(f"escalations/{item}/decide", {"decision": "approve", "digest": "0"})
    assert (own.status, own.code) == (403, "first_decider")
    owner = caller(acme, member(acme, Role.OWNER, "olga"))
    shown = owner.get(f"escalations/{item}").json
    assert shown["detail"] == "Paid the wrong one."
    assert shown["proposal"]["output"]
    assert "run.completed" in [each["type"] for each in shown["evidence"]]
    answer = {"decision": "reject", "digest": shown["proposal"]["digest"], "reason": "It was the right one."}
    assert owner.post(f"escalations/{item}/decide", answer).status == 200
    assert alice.get(f"runs/{run['id']}").json["appeal"]["status"] == "rejected"


def test_workers_tell_outside_what_happened(
    acme: World, alice: Caller, driver: Driver, settles: Settles, receiver: Receiver
) -> None:
    dev = caller(acme, member(acme, Role.DEVELOPER, "dev"))
    made = dev.post("webhooks", {"name": "crm", "url": receiver.url, "events": ["run.cancelled"]}).json
    run = ask(acme, alice, settles)["id"]
    alice.post(f"runs/{run}/cancel")
    assert finished(acme, run) == "cancelled"

    assert receiver.arrived.wait(30)

    [(headers, body)] = receiver.came
    assert Webhook(made["secret"]).verify(body, headers)["data"]["id"] == run
    assert json.loads(body)["type"] == "run.cancelled"
    [sent] = dev.get(f"webhooks/{made['id']}/deliveries").json["results"]
    assert sent["webhook_id"] == headers["webhook-id"]
    assert "secret" not in dev.get(f"webhooks/{made['id']}").json
    assert dev.post(f"webhooks/{made['id']}/deliveries/{sent['id']}/replay").status == 202
    bad = alice.post("runs", {"agent": "payer", "input": {}, "callback_url": "ftp://x"})
    assert (bad.status, bad.pointers) == (422, ["/callback_url"])
    called = alice.post("runs", {"agent": "payer", "input": {}, "callback_url": receiver.url}).json
    assert called["callback_secret"].startswith("whsec_")

"""A refund from the client's POST to the money: asked, decided, done exactly once, whatever happens to the workers."""

from pathlib import Path
from typing import Any

import pytest

from ops.demo.rest import Rest, RestError
from tests.journeys.running import Demo, demo, events, start, wait, workers
from tests.ops.processes import eventually, of_installation

Json = Any
DEVELOPER = "dana@acme.example"
REVIEWER = "rita@acme.example"
BROKEN = {"ticket_id": "TICKET-77", "order_id": "ORD-2001", "request": "It arrived broken."}
RETURNED = {"ticket_id": "TICKET-78", "order_id": "ORD-2005", "request": "I sent it back."}


def refused(call: Any, *arguments: Any, **keywords: Any) -> tuple[int, str]:
    with pytest.raises(RestError) as caught:
        call(*arguments, **keywords)
    return caught.value.status, caught.value.problem["code"]


def question(running: Demo, run: Json) -> Json:
    (escalation,) = run["escalations"]
    return running.api(REVIEWER).get(f"escalations/{escalation}")


def decide(reviewer: Rest, escalation: Json, **answer: str) -> Json:
    body = {"digest": escalation["proposal"]["digest"], **answer}
    return reviewer.post(f"escalations/{escalation['id']}/decide", body)


def test_a_refund_waits_for_a_person_and_is_made_once(used_dir: Path, engine: dict[str, str]) -> None:
    with demo(used_dir, "--workers", "1", **engine) as running:
        developer, reviewer = running.api(DEVELOPER), running.api(REVIEWER)
        key = f"refund-77 {engine['ENGINE']}"
        run = start(developer, "refund-desk", BROKEN, key)
        assert start(developer, "refund-desk", BROKEN, key) == run
        other = {**BROKEN, "order_id": "ORD-2002"}
        assert refused(start, developer, "refund-desk", other, key) == (422, "idempotency_mismatch")

        asked = question(running, wait(developer, run, "waiting"))
        assert (asked["kind"], asked["status"]) == ("tool_call", "open")
        assert asked["proposal"]["tool"] == "refund_payment"
        assert asked["proposal"]["arguments"]["amount_minor"] == 4990
        assert running.ledger(run) == []

        place = f"escalations/{asked['id']}"
        assert refused(running.api("dana@globex.example").get, f"runs/{run}")[0] == 404
        assert refused(running.api("rita@globex.example").get, place)[0] == 404
        own = {"decision": "approve", "digest": asked["proposal"]["digest"]}
        assert refused(developer.post, f"{place}/decide", own)[0] == 403
        assert refused(reviewer.post, f"{place}/decide", {**own, "digest": "0" * 64}) == (412, "digest_differs")
        assert running.ledger(run) == []

        decide(reviewer, asked, decision="approve")
        # The order of checks: whether one may decide comes before whether it is still open.
        assert refused(decide, reviewer, asked, decision="reject") == (409, "already_decided")
        done = wait(developer, run, "completed")

        assert done["output"]["outcome"] == "refunded"
        refund, note = running.ledger(run)
        assert (refund["effect"], refund["seen"]) == ("refund", 1)
        assert refund["request"] | {"reason": ""} == {**asked["proposal"]["arguments"], "reason": ""}
        assert refund["answer"]["refund_id"] == done["output"]["refund_id"]
        assert (note["effect"], note["seen"]) == ("note", 1)
        kinds = [event["type"] for event in events(developer, run)]
        assert kinds.index("decision.requested") < kinds.index("decision.made") < kinds.index("run.resumed")
        assert kinds[0] == "run.submitted"
        assert kinds[-1] == "run.completed"
    assert of_installation(used_dir) == []


def test_a_worker_killed_in_the_middle_of_a_payment_leaves_it_paid_once(used_dir: Path, engine: dict[str, str]) -> None:
    with demo(used_dir, "--workers", "0", **engine, LEASE_SECONDS="12") as running:
        developer, reviewer = running.api(DEVELOPER), running.api(REVIEWER)
        with workers(running) as first:
            run = start(developer, "refund-desk", RETURNED)
            decide(reviewer, question(running, wait(developer, run, "waiting")), decision="approve")
            # The payment provider has paid and is slow to say so.
            assert eventually(lambda: len(running.ledger(run)) == 1)
            first.kill()
        before = events(developer, run)
        assert before[-1]["type"] == "tool.requested"

        with workers(running):
            done = wait(developer, run, "completed")

        after = events(developer, run)
        assert after[: len(before)] == before
        assert done["output"]["outcome"] == "refunded"
        refund, note = running.ledger(run)
        # Asked for twice with one key, paid once; nothing that was finished is done again.
        assert (refund["effect"], refund["seen"], refund["request"]["amount_minor"]) == ("refund", 2, 24_500)
        assert (note["effect"], note["seen"]) == ("note", 1)
        finished = [event["data"]["tool"] for event in after if event["type"] == "tool.finished"]
        assert finished == ["fetch_order", "refund_payment", "add_note"]
        assert [event["type"] for event in after].count("model.answered") == 4
        assert done["usage"]["model_calls"] == 4

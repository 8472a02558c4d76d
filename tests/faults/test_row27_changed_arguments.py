"""Row 27: what was approved is changed afterwards; the approval is void, and nothing is done that nobody approved.

The change comes while no worker lives, or in the middle of it all: by REST, where it is allowed, or by somebody with
the database in their hands.
"""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest

from ops.demo.rest import RestError
from tenants.models import Role
from tests.api.conftest import caller
from tests.faults.agents import http
from tests.faults.provider import checked, gifts, of_type
from tests.faults.rig import Rig

Json = Any
pytestmark = pytest.mark.usefixtures("database")

PAYMENTS: Json = {"applies_to": {"tools": ["pay"]}, "then": "approve", "when": "args.case != ''"}


@pytest.fixture
def policy(rig: Rig) -> Iterator[str]:
    """A policy that has one person approve payments; its place."""
    place = f"policies/p{uuid4().hex[:8]}"
    rig.alice.put(place, {"spec": PAYMENTS}, new=True)
    yield place
    rig.alice.delete(place)


def asked(rig: Rig) -> tuple[str, Json]:
    """A run that waits for a payment to be approved, and its question; no worker lives any more."""
    run = rig.start("payer", {"case": uuid4().hex[:8]})
    with rig.worker():
        (question,) = rig.open_questions(rig.settle(run, people=False))
    return run, question


def asked_anew(rig: Rig, run: str, old: Json) -> Json:
    """Let a worker go on with it until it asks again; returns what it asks."""
    with rig.worker():
        (question,) = rig.open_questions(rig.settle(run, people=False))
    assert question["id"] != old["id"]
    assert question["proposal"]["digest"] != old["proposal"]["digest"]
    assert gifts(rig, run) == 0
    return question


def paid(rig: Rig, run: str) -> list[Json]:
    """What the run paid: the bodies that arrived."""
    return [each.path for each in rig.effects.ledger.asked(run) if each.done]


def refused(rig: Rig, who: str, question: Json, digest: str) -> tuple[int, str]:
    """How somebody's approval is turned away."""
    with pytest.raises(RestError) as caught:
        rig.api(who).post(f"escalations/{question['id']}/decide", {"decision": "approve", "digest": digest})
    return caught.value.status, caught.value.problem["code"]


def tamper(rig: Rig, run: str, kind: str, old: str, new: str) -> None:
    """Write something else into a run's payloads, past every trigger, as only a superuser can. kind: of the records."""
    with rig.look.transaction():
        rig.look.execute("SET LOCAL session_replication_role = replica")
        changed = rig.look.execute(
            "UPDATE audit_payload SET value = replace(value, %(old)s, %(new)s) WHERE record_id IN"
            " (SELECT id FROM audit_record WHERE stream = %(run)s AND action = %(kind)s)",
            {"old": old, "new": new, "run": run, "kind": kind},
        )
        assert changed.rowcount


def test_a_call_whose_arguments_are_not_those_approved_is_asked_about_anew(rig: Rig) -> None:
    run, question = asked(rig)
    case = question["proposal"]["arguments"]["case"]
    rig.answer(question, "approve")
    tamper(rig, run, "model.answered", case, "mallory")

    again = asked_anew(rig, run, question)

    assert again["proposal"]["arguments"] == {"case": "mallory"}
    assert refused(rig, "rita", again, question["proposal"]["digest"]) == (412, "digest_differs")
    assert refused(rig, "rita", question, question["proposal"]["digest"]) == (409, "already_decided")
    rig.answer(again, "reject", reason="Nobody asked for that.")
    with rig.worker():
        assert rig.settle(run)["status"] == "completed"
    assert paid(rig, run) == []


def test_nor_does_a_forged_proposal_get_anything_else_done(rig: Rig) -> None:
    run, question = asked(rig)
    case = question["proposal"]["arguments"]["case"]
    tamper(rig, run, "decision.requested", case, "harmless")  # what people are shown, and not what is called
    shown = rig.alice.get(f"escalations/{question['id']}")
    assert shown["proposal"]["arguments"] == {"case": "harmless"}
    rig.answer(shown, "approve")
    with rig.worker():
        rig.settle(run)
    assert paid(rig, run) in ([], [f"/each/{case}"])  # what the digest names, or nothing; never the forgery


def test_an_approval_is_void_when_the_policy_has_changed(rig: Rig, policy: str) -> None:
    run, question = asked(rig)
    rig.answer(question, "approve")
    rig.alice.put(policy, {"spec": {**PAYMENTS, "description": "Look twice."}})

    again = asked_anew(rig, run, question)

    assert refused(rig, "rita", again, question["proposal"]["digest"]) == (412, "digest_differs")
    rig.answer(again, "approve")
    with checked(rig, run), rig.worker():
        assert rig.settle(run)["status"] == "completed"
    assert gifts(rig, run) == 1


def test_and_helps_nothing_against_a_policy_that_forbids_the_call(rig: Rig, policy: str) -> None:
    run, question = asked(rig)
    rig.answer(question, "approve")
    rig.alice.put(policy, {"spec": {"applies_to": {"tools": ["pay"]}, "then": "deny"}})
    with checked(rig, run), rig.worker():
        assert rig.settle(run)["status"] == "completed"
    (denied,) = of_type(rig.events(run), "tool.denied")
    assert (denied["tool"], denied["code"]) == ("pay", "policy")
    assert gifts(rig, run) == 0


def test_what_was_approved_is_what_is_done_whatever_becomes_of_the_tool(rig: Rig) -> None:
    run, question = asked(rig)
    case = question["proposal"]["arguments"]["case"]
    rig.answer(question, "approve")
    before = rig.alice.get("tools/pay")["spec"]
    elsewhere = http("POST", f"{rig.effects.url}/each/elsewhere-{{case}}", effect="irreversible")
    rig.alice.put("tools/pay", {"spec": elsewhere})
    made = rig.alice.post("agents/payer/versions", {})
    rig.alice.post(f"agents/payer/versions/{made['number']}/publish", {})
    try:
        with checked(rig, run), rig.worker():
            assert rig.settle(run)["status"] == "completed"
        assert paid(rig, run) == [f"/each/{case}"]

        other = rig.start("payer", {"case": case})  # the same arguments, of the tool as it is now
        with rig.worker():
            (new,) = rig.open_questions(rig.settle(other, people=False))
        assert new["proposal"]["digest"] != question["proposal"]["digest"]
        assert refused(rig, "rita", new, question["proposal"]["digest"]) == (412, "digest_differs")
    finally:
        rig.alice.put("tools/pay", {"spec": before})
        rig.alice.post("agents/payer/rollback", {})


def test_a_tool_changed_beneath_its_version_voids_the_approval(rig: Rig) -> None:
    run, question = asked(rig)
    rig.answer(question, "approve")
    (kept,) = rig.look.execute(
        "SELECT id, compiled::text FROM agents_agentversion"
        " WHERE id = (SELECT version_id FROM agents_run WHERE id = %s)",
        [run],
    ).fetchall()
    forged = json.loads(kept[1])
    (pay,) = [tool for tool in forged["tools"] if tool["name"] == "pay"]
    pay["document"]["http"]["url"] = f"{rig.effects.url}/each/mallory-{{case}}"
    pay["digest"] = "f" * 64
    change = "UPDATE agents_agentversion SET compiled = %s WHERE id = %s"
    with rig.look.transaction():
        rig.look.execute("SET LOCAL session_replication_role = replica")
        rig.look.execute(change, [json.dumps(forged), kept[0]])
    try:
        asked_anew(rig, run, question)
    finally:
        with rig.look.transaction():
            rig.look.execute("SET LOCAL session_replication_role = replica")
            rig.look.execute(change, [kept[1], kept[0]])


def test_an_approval_is_for_one_call_and_given_by_who_may(rig: Rig) -> None:
    run, question = asked(rig)
    digest = question["proposal"]["digest"]
    service = rig.world.member(f"viewer-{uuid4().hex[:6]}", Role.VIEWER)
    rig.keys["viewer"] = caller(rig.world, service).key or ""
    assert refused(rig, "alice", question, digest) == (403, "own_request")
    assert refused(rig, "viewer", question, digest)[0] in (403, 404)
    assert refused(rig, "rita", question, "0" * 64) == (412, "digest_differs")
    twin = rig.start("payer", {"case": question["proposal"]["arguments"]["case"]})
    with rig.worker():
        (same,) = rig.open_questions(rig.settle(twin, people=False))
    assert same["proposal"]["digest"] == digest  # the same call, of another run

    rig.answer(question, "approve")

    with checked(rig, run), rig.worker():
        assert rig.settle(run)["status"] == "completed"
        assert rig.open_questions(rig.run(twin)) == [same]
    assert (gifts(rig, run), gifts(rig, twin)) == (1, 0)
    rig.answer(same, "reject", reason="Once is enough.")
    with rig.worker():
        rig.settle(twin)
    assert gifts(rig, twin) == 0


def test_in_a_race_no_call_is_begun_behind_the_policy_that_forbids_it(rig: Rig, policy: str) -> None:
    runs = [rig.start("payer", {"case": uuid4().hex[:8]}) for _ in range(8)]
    with rig.worker(), rig.worker():
        questions = [rig.open_questions(rig.settle(run, people=False))[0] for run in runs]
        with ThreadPoolExecutor(5) as pool:
            answers = [pool.submit(rig.answer, question, "approve") for question in questions]
            rig.alice.put(policy, {"spec": {"applies_to": {"tools": ["pay"]}, "then": "deny"}})
            (since,) = rig.look.execute("SELECT clock_timestamp()").fetchone() or (None,)
            for each in answers:
                each.result()
        for run in runs:
            assert rig.settle(run)["status"] == "completed"
    begun = rig.look.execute(
        "SELECT count(*) FROM audit_record WHERE stream = ANY(%s) AND action = 'tool.requested' AND at > %s",
        [runs, since],
    ).fetchone()
    assert begun == (0,)
    for run in runs:
        events = rig.events(run)
        assert gifts(rig, run) == len(of_type(events, "tool.requested"))
        assert gifts(rig, run) + len(of_type(events, "tool.denied")) == 1

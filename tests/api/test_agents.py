"""Agents over REST: draft, version, publish, roll back, preview."""

from typing import Any

import pytest

from tests.api.conftest import Caller, caller
from tests.worlds import LOOKUP, World

SPEC: dict[str, Any] = {"role": "You look up.", "model": {"id": "claude-opus-4-7"}, "tools": []}


def drafted(caller: Caller, slug: str = "clerk", **more: Any) -> str:
    """Create an agent and return its ETag."""
    answer = caller.put(f"agents/{slug}", {"spec": {**SPEC, **more}}, If_None_Match="*")
    assert answer.status == 201, answer.content
    return str(answer.headers["ETag"])


def test_an_agent_goes_from_draft_to_published_and_back(alice: Caller) -> None:
    tag = drafted(alice)
    first = alice.post("agents/clerk/versions")
    assert (first.status, first.json["number"], first.json["live"]) == (201, 1, False)
    assert "You look up." in first.json["system"]
    assert alice.post("agents/clerk/versions").status == 200  # the same again
    assert alice.post("agents/clerk/versions/1/publish").json["live"] == 1

    tag = alice.get("agents/clerk").headers["ETag"]
    changed = alice.put("agents/clerk", {"spec": {**SPEC, "role": "You file."}}, If_Match=tag)
    assert (changed.status, changed.json["has_draft"]) == (200, True)
    assert alice.post("agents/clerk/versions").json["number"] == 2
    assert alice.post("agents/clerk/versions/2/publish", {"percent": 100}).json["live"] == 2
    assert [each["number"] for each in alice.get("agents/clerk/versions").json["results"]] == [2, 1]
    assert alice.get("agents/clerk/versions/1").json["spec"]["role"] == "You look up."

    assert alice.post("agents/clerk/rollback").json["live"] == 1
    assert alice.post("agents/clerk/rollback").code == "nothing_to_roll_back_to"
    assert [each["slug"] for each in alice.get("agents").json["results"]] == ["clerk"]


def test_a_change_names_what_it_replaces(alice: Caller) -> None:
    tag = drafted(alice)
    body = {"spec": {**SPEC, "role": "You file."}}

    assert alice.put("agents/clerk", body).code == "precondition_required"
    assert alice.put("agents/clerk", body, If_None_Match="*").code == "precondition_failed"
    assert alice.put("agents/clerk", body, If_None_Match=tag).code == "bad_header"
    assert alice.put("agents/clerk", body, If_Match='"stale"').code == "precondition_failed"
    assert alice.put("agents/clerk", body, If_Match=f"W/{tag}").code == "precondition_failed"
    assert alice.put("agents/none", body, If_Match="*").code == "precondition_failed"
    assert alice.put("agents/clerk", body, If_Match=f'"other", {tag}').status == 200
    assert alice.put("agents/clerk", body, If_Match=tag).code == "precondition_failed"


def test_a_wrong_document_is_refused_with_its_places(alice: Caller) -> None:
    answer = alice.put("agents/clerk", {"spec": {**SPEC, "tools": ["nope"], "surprise": 1}}, If_None_Match="*")

    assert (answer.status, answer.code) == (422, "invalid_document")
    assert "/spec/surprise" in " ".join(answer.pointers)
    assert alice.get("agents/clerk").status == 404
    assert alice.put("agents/Not_A_Slug", {"spec": SPEC}, If_None_Match="*").status == 422
    assert alice.put("agents/clerk", SPEC, If_None_Match="*").code == "invalid_body"


def test_a_number_that_no_record_can_hold_is_refused(alice: Caller) -> None:
    schema = {"type": "object", "properties": {"n": {"const": 2**60}}}

    answer = alice.put("agents/clerk", {"spec": {**SPEC, "input_schema": schema}}, If_None_Match="*")

    assert answer.status == 422


def test_a_preview_shows_what_the_model_is_told(acme: World, alice: Caller) -> None:
    acme.define("looker", role="You look keys up.", tool_specs={"lookup": LOOKUP})

    shown = alice.get("agents/looker/preview").json
    tried = alice.post("agents/looker/preview", {"spec": {**SPEC, "role": "You hum."}})

    assert "You look keys up." in shown["system"]
    assert [tool["name"] for tool in shown["tools"]] == ["lookup"]
    assert shown["tokens"]["total"] > 0
    assert "You hum." in tried.json["system"]
    assert alice.post("agents/looker/preview", {"spec": {}}).code == "invalid_document"
    assert "You hum." not in alice.get("agents/looker/preview").json["system"]


@pytest.mark.parametrize("number", ["0", "9", "x", "-1", "1.0", "99999999999", "%00"])
def test_a_version_that_is_not_there_is_not_found(alice: Caller, number: str) -> None:
    drafted(alice)
    alice.post("agents/clerk/versions")

    assert alice.get(f"agents/clerk/versions/{number}").code == "not_found"
    assert alice.post(f"agents/clerk/versions/{number}/publish").code == "not_found"


def test_publishing_to_a_part_is_not_available_yet(alice: Caller) -> None:
    drafted(alice)
    alice.post("agents/clerk/versions")

    assert alice.post("agents/clerk/versions/1/publish", {"percent": 10}).code == "not_available"


def test_editing_takes_the_scope_and_a_role_or_a_grant(acme: World, alice: Caller, bob: Caller) -> None:
    tag = drafted(alice)
    body = {"spec": {**SPEC, "role": "You file."}}

    assert caller(acme, acme.alice, "agents:read").put("agents/clerk", body, If_Match=tag).code == "missing_scope"
    assert bob.put("agents/clerk", body, If_Match=tag).code == "missing_grant"
    granted = alice.post("agents/clerk/grants", {"user": f"bob@{acme.slug}.example", "permission": "edit"})
    assert granted.status == 201
    assert bob.put("agents/clerk", body, If_Match=tag).status == 200


def test_it_is_stopped_with_its_runs_and_goes_on(acme: World, alice: Caller, bob: Caller) -> None:
    acme.define("clerk", role="You answer.")
    run = acme.submit("clerk", {})
    assert bob.post("agents/clerk/stop", {"reason": "x"}).status == 403
    assert alice.post("agents/clerk/stop", {"reason": " "}).code == "invalid_body"
    stopped = alice.post("agents/clerk/stop", {"reason": "It loops.", "end_runs": True}).json
    assert (stopped["asked_to_end"], stopped["under_way"], stopped["stopped_at"] is None) == (1, 1, False)
    assert stopped["left"] == 0
    assert acme.actions(run.id)[-1] == "run.cancel_requested"
    again = alice.post("agents/clerk/stop", {"reason": "It loops.", "end_runs": True}).json
    assert (again["asked_to_end"], again["under_way"], again["left"]) == (0, 1, 0)
    assert alice.post("runs", {"agent": "clerk", "input": {}}).code == "agent_stopped"
    assert alice.post("agents/clerk/resume").json["stopped_at"] is None
    assert alice.post("runs", {"agent": "clerk", "input": {}}).status == 202

"""Which script and turn answer, and what they say."""

from pathlib import Path
from typing import Any

import pytest

from agents.providers.rehearsal.conversation import Conversation, find_json
from agents.providers.rehearsal.errors import Rejected
from agents.providers.rehearsal.message_rules import check_messages
from agents.providers.rehearsal.playing import Player
from agents.providers.rehearsal.scripts import load
from tests.agents.providers.rehearsal.requests import assistant, body, call, result, text, user

SCRIPTS = """
script: specific
priority: 1
match:
  system: [loan, review]
  user: {regex: "CUST-\\\\d+"}
  model: opus
  tools: fetch
  input: {customer.id: {in: [CUST-1, CUST-2]}, amount: {gt: 10, le: 1000}, urgent: true}
turns:
  - content: [{text: "specific {{input.customer.id}} at turn {{turn}}, {{input}}"}]
---
script: turns
match: {system: turns}
turns:
  - when: {turn: 1}
    content:
      - tool_use: {name: fetch, input: {id: "{{input.id}}", note: "for {{input.id}}", list: ["{{input.n}}"]}}
      - tool_use: {name: check, id: fixed}
  - when: {after: [fetch, check], result: {check: {$error: true}}}
    content: [{tool_use: {name: backup, input: "{{result.fetch}}"}}]
  - when: {after: backup, called: [fetch], not_called: [pay], result: {backup: {score: {ge: 0.5}}}}
    content: [{text: "score {{result.backup.score}} after {{results.fetch.0.name}}"}]
  - when: {said: "not valid", turn: [2, 3]}
    content: [{json: {decision: approve, score: "{{result.fetch.n}}"}}]
  - when: {result: {fetch: {$text: {regex: "^plain"}}}}
    content: [{text: "plain: {{result.fetch}}"}]
  - when: {}
    content: [{text: otherwise}]
---
script: missing
match: {system: missing}
turns:
  - content: [{text: "{{input.nobody}}"}]
"""


@pytest.fixture
def player(tmp_path: Path) -> Player:
    (tmp_path / "scripts.yaml").write_text(SCRIPTS)
    return Player(load([tmp_path]))


def conversation(*messages: Any, system: str, tools: tuple[str, ...] = ()) -> Conversation:
    value = body(*messages, system=system, tools=[{"name": tool} for tool in tools])
    return Conversation.of(value, check_messages(value["messages"], prefill=False))


def said(player: Player, *messages: Any, system: str = "turns", tools: tuple[str, ...] = ()) -> Any:
    content = player.play(conversation(*messages, system=system, tools=tools)).answer.content
    return content[0].get("text", content)


LOAN = 'Input:\n{"customer": {"id": "CUST-1"}, "amount": 11, "urgent": true}'


def test_everything_in_match_must_hold(player: Player) -> None:
    answer = said(player, user(LOAN), system="a loan to review", tools=("fetch", "pay"))

    assert answer == ('specific CUST-1 at turn 1, {"customer": {"id": "CUST-1"}, "amount": 11, "urgent": true}')


@pytest.mark.parametrize(
    ("sent", "system", "tools"),
    [
        (LOAN, "a loan", ("fetch",)),
        (LOAN, "a loan to review", ("pay",)),
        (LOAN.replace("CUST-1", "CUST-3"), "a loan to review", ("fetch",)),
        (LOAN.replace("11", "10"), "a loan to review", ("fetch",)),
        (LOAN.replace("11", "1001"), "a loan to review", ("fetch",)),
        (LOAN.replace("11", '"11"'), "a loan to review", ("fetch",)),
        (LOAN.replace("true", "1"), "a loan to review", ("fetch",)),
        ("CUST-1", "a loan to review", ("fetch",)),
    ],
)
def test_no_match_says_what_was_looked_at(player: Player, sent: str, system: str, tools: tuple[str, ...]) -> None:
    with pytest.raises(Rejected) as caught:
        said(player, user(sent), system=system, tools=tools)

    assert caught.value.status == 400
    assert "no script matches" in caught.value.message
    assert system in caught.value.message
    assert "specific, turns, missing" in caught.value.message


START = user('{"id": "CUST-7", "n": 1.0}')
CALLS = assistant(call("t1", "fetch"), call("fixed", "check"))


def test_placeholders_keep_their_type_alone_and_become_text_among_text(player: Player) -> None:
    first, second = said(player, START)

    assert repr(first["input"]) == repr({"id": "CUST-7", "note": "for CUST-7", "list": [1.0]})
    assert (second["id"], second["input"]) == ("fixed", {})
    assert first["id"].startswith("toolu_")


def test_a_turn_is_chosen_by_what_has_happened(player: Player) -> None:
    results = user(result("t1", '{"name": "Ada", "n": 5}'), result("fixed", "down", is_error=True))
    backup = said(player, START, CALLS, results)

    assert backup[0]["name"] == "backup"
    assert backup[0]["input"] == {"name": "Ada", "n": 5}
    after = [assistant(*backup), user(result(backup[0]["id"], 'found: {"score": 0.50}'))]
    assert said(player, START, CALLS, results, *after) == "score 0.5 after Ada"
    low = [assistant(*backup), user(result(backup[0]["id"], '{"score": 0.49}'))]
    assert said(player, START, CALLS, results, *low) == "otherwise"


def test_a_turn_may_answer_what_was_said(player: Player) -> None:
    fine = user(result("t1", '{"n": 5}'), result("fixed"), text("That is not valid: score"))

    assert said(player, START, CALLS, fine) == '{"decision": "approve", "score": 5}'


def test_results_without_json_are_text(player: Player) -> None:
    assert said(player, START, CALLS, user(result("t1", "plain words"), result("fixed"))) == "plain: plain words"


def test_a_placeholder_without_a_value_is_named(player: Player) -> None:
    with pytest.raises(Rejected) as caught:
        said(player, user("x"), system="missing")

    assert "{{input.nobody}}" in caught.value.message


def test_a_script_at_its_end_says_so(player: Player) -> None:
    with pytest.raises(Rejected) as caught:
        said(player, user("x"), assistant("y"), user("z"), system="missing")

    assert "'missing'" in caught.value.message
    assert "nothing to say at turn 2" in caught.value.message


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ('{"a": 1}', {"a": 1}),
        ('Input (JSON):\n{"a": {"b": "}"}}\nThanks.', {"a": {"b": "}"}}),
        ("Look {at} this: [1, 2]", [1, 2]),
        ("12.50", 12.5),
        ("nothing", None),
        ("", None),
    ],
)
def test_json_is_found_in_text(value: str, found: Any) -> None:
    assert find_json(value) == found


FAULTY = """
script: faulty
match: {}
turns:
  - content: [{text: fine}]
    fault: [{kind: overloaded, times: 2}, {kind: server_error}]
  - content: [{text: never}]
    fault: {kind: overloaded, times: always}
"""


def test_faults_come_as_often_as_they_say_for_each_conversation_and_each_run(tmp_path: Path) -> None:
    (tmp_path / "faulty.yml").write_text(FAULTY)
    player = Player(load([tmp_path]))

    def kinds(*messages: Any, times: int) -> list[str | None]:
        plays = [player.play(conversation(*messages, system="")) for _ in range(times)]
        return [None if play.fault is None else play.fault["kind"] for play in plays]

    one_run = ["overloaded", "overloaded", "server_error", None]
    assert kinds(user("a"), times=2) == one_run[:2]
    assert kinds(user("b"), times=8) == one_run * 2
    assert kinds(user("a"), times=2) == one_run[2:]
    assert kinds(user("a"), assistant("fine"), user("c"), times=5) == ["overloaded"] * 5
    assert player.faults == {"overloaded": 11, "server_error": 3}

"""Debates: several agents answer in rounds, each told what the others said, until they agree or the rounds are over."""

import json
from typing import Any

import pytest

from agents.engine.driver import Driver
from agents.models import Run
from tests.agents.engine.test_children import CASE, children_of, facts, output, start_as
from tests.agents.engine.test_grants import denied, developer, give
from tests.agents.engine.waiting import ended
from tests.worlds import World

Json = Any


def panel(*names: str, rounds: int) -> Json:
    """A tool that has these agents debate."""
    agent = {"mode": "debate", "names": list(names), "rounds": rounds}
    return {"description": "Ask the panel.", "type": "agent", "agent": agent}


@pytest.fixture
def court(acme: World) -> World:
    """Three who judge: the dove follows the hawk, and the owl nobody."""
    for name in ("hawk", "dove", "owl"):
        schema = {"type": "object", "properties": {"verdict": {"type": "string"}}}
        acme.define(name, role=f"You are the {name}.", output_schema=schema)
    return acme


def result(acme: World, run: Run) -> Json:
    """What the debate came to, as the model was told it."""
    return json.loads(output(acme, run).removeprefix("The panel says: "))


def test_they_agree_in_the_second_round_and_are_not_asked_again(court: World, driver: Driver) -> None:
    court.define("boss", role="You ask the panel.", tool_specs={"ask_panel": panel("hawk", "dove", rounds=3)})
    run = ended(court, court.submit("boss", CASE))

    guilty = {"verdict": "guilty"}
    both = [{"agent": "hawk", "answer": guilty}, {"agent": "dove", "answer": guilty}]
    assert result(court, run) == {"rounds": 2, "answers": both, "agreed": True}
    assert [each.get("round", 1) for each in facts(court, run, "child.started")] == [1, 1, 2, 2]
    assert len(children_of(court, run)) == 4
    assert court.run(run.id).cost_nano > sum(child.cost_nano for child in children_of(court, run))


def test_after_the_last_round_they_may_differ(court: World, driver: Driver) -> None:
    court.define("boss", role="You ask the panel.", tool_specs={"ask_panel": panel("hawk", "owl", rounds=2)})
    run = ended(court, court.submit("boss", CASE))
    found = result(court, run)
    assert (found["rounds"], found["agreed"]) == (2, False)
    assert [each["answer"]["verdict"] for each in found["answers"]] == ["guilty", "undecided"]


def test_all_rounds_together_stay_within_what_the_run_may_spend(court: World, driver: Driver) -> None:
    limits = {"usd": "0.40", "tokens": 90_000}
    tools = {"ask_panel": panel("hawk", "dove", "owl", rounds=2)}
    court.define("boss", role="You ask the panel.", tool_specs=tools, limits=limits)
    run = ended(court, court.submit("boss", CASE))
    assert run.status == "completed"
    aside = facts(court, run, "child.started")
    assert len(aside) == 6
    assert sum(each["usd_nano"] for each in aside[:3]) < 400_000_000 * 3 / 6
    assert sum(each["tokens"] for each in aside[:3]) < 90_000 * 3 / 6


def test_who_may_not_run_one_of_them_has_no_debate(court: World, driver: Driver) -> None:
    court.define("boss", role="You ask the panel.", tool_specs={"ask_panel": panel("hawk", "dove", rounds=2)})
    dan = developer(court, "dan", "boss", "hawk")
    give(court, "ask_panel", dan)
    run = ended(court, start_as(dan, "boss"))
    assert denied(court, run) == [("ask_panel", "not_granted")]
    assert children_of(court, run) == []


def test_whose_guards_refuse_what_the_others_said_is_not_told_it(court: World, driver: Driver) -> None:
    guards = {"input": {"rules": [{"find": ["said"], "then": "refuse"}]}, "patterns": {"said": "guilty"}}
    court.define("owl", role="You are the owl.", guards=guards)
    court.define("boss", role="You ask the panel.", tool_specs={"ask_panel": panel("hawk", "owl", rounds=2)})
    run = ended(court, court.submit("boss", CASE))

    assert [each["code"] for each in facts(court, run, "tool.failed")] == ["input_refused"]
    assert len(children_of(court, run)) == 2

"""Cache, breaker and fallback in whole runs: what the journal tells, and who is asked all the same."""

from collections.abc import Callable
from threading import Event
from typing import Any
from uuid import UUID

import pytest

from agents.actions.runs import Request, submit
from agents.core.guards import Guards, guards_of
from agents.engine.driver import Driver
from agents.models import Run
from agents.tools.python import tool
from tenants.models import Role
from tests.worlds import LEDGER, LOOKUP, World

Settles = Callable[[World, UUID], Run]

LOOKER = "You look up twice."
KEPT = LOOKUP | {"cache_ttl_s": 600}


@tool("test_call_off")
def call_off(key: str) -> Any:
    """Never answer in time."""
    Event().wait(20.0)
    return key


def looked_up(acme: World) -> int:
    return LEDGER.effects[f"lookup {acme.slug}"] + LEDGER.effects[f"lookup a-{acme.slug}"]


def look_up(acme: World, settles: Settles, **more: Any) -> Run:
    run = acme.submit("looker", {"a": f"a-{acme.slug}", "b": acme.slug}, **more)
    return settles(acme, run.id)


def test_a_second_run_gets_the_kept_results_and_the_journal_says_so(
    acme: World, driver: Driver, settles: Settles
) -> None:
    acme.define("looker", role=LOOKER, tool_specs={"lookup": KEPT})

    runs = [look_up(acme, settles) for _ in range(2)]

    assert [run.status for run in runs] == ["completed"] * 2
    said = [[each for each in acme.events(run.id) if each.action == "tool.finished"] for run in runs]
    assert [["from_cache" in each.facts for each in of_run] for of_run in said] == [[False] * 2, [True] * 2]
    assert [each.payload for each in said[0]] == [each.payload for each in said[1]]
    assert looked_up(acme) == 2


def test_who_may_not_use_the_tool_gets_no_kept_result(acme: World, driver: Driver, settles: Settles) -> None:
    acme.define("looker", role=LOOKER, tool_specs={"lookup": KEPT | {"cache_scope": "tenant"}})
    look_up(acme, settles)
    dan = acme.member("dan", Role.DEVELOPER)
    acme.grant("run", acme.agent("looker"), dan)

    run = submit(Request(agent="looker", input={"a": f"a-{acme.slug}", "b": acme.slug}), acting_as=dan).run
    settles(acme, run.id)

    assert "tool.denied" in acme.actions(run.id)
    assert "tool.finished" not in acme.actions(run.id)


def test_a_kept_result_needs_its_approval_all_the_same(acme: World, driver: Driver, settles: Settles) -> None:
    acme.define("asks", role=LOOKER, tool_specs={"lookup": KEPT | {"approval": {"when": "true"}}})

    run = acme.submit("asks", {"a": f"a-{acme.slug}", "b": acme.slug})
    settles(acme, run.id)

    assert acme.run(run.id).waiting_for == "decision"
    assert "tool.finished" not in acme.actions(run.id)


def test_an_open_breaker_has_the_fallback_called(acme: World, driver: Driver, settles: Settles) -> None:
    late = LOOKUP | {"python": {"function": "test_call_off"}, "timeout_s": 0.1}
    sick = late | {"breaker": {"failures": 1, "open_s": 600}, "fallback": "backup"}
    acme.define("looker", role=LOOKER, tool_specs={"backup": LOOKUP, "lookup": sick})

    run = look_up(acme, settles)

    failed = [each.facts for each in acme.events(run.id) if each.action == "tool.failed"]
    assert [each["code"] for each in failed] == ["timeout", "circuit_open"]
    assert {each["fallback"] for each in failed} == {"backup"}
    assert (run.status, looked_up(acme)) == ("completed", 2)


def test_a_fallback_that_the_member_may_not_use_is_not_called(acme: World, driver: Driver, settles: Settles) -> None:
    late = LOOKUP | {"python": {"function": "test_call_off"}, "timeout_s": 0.1, "fallback": "backup"}
    granted = {"grants": [{"user": f"dan@{acme.slug}.example", "permission": "use"}]}
    dan = acme.member("dan", Role.DEVELOPER)
    acme.define("looker", role=LOOKER, tool_specs={"backup": LOOKUP, "lookup": late | granted})
    acme.grant("run", acme.agent("looker"), dan)

    run = submit(Request(agent="looker", input={"a": f"a-{acme.slug}", "b": acme.slug}), acting_as=dan).run
    settles(acme, run.id)

    denied = [each.facts for each in acme.events(run.id) if each.action == "tool.denied"]
    assert {(each["tool"], each["code"]) for each in denied} == {("backup", "not_granted")}
    assert looked_up(acme) == 0


@pytest.mark.parametrize("more", [{}, {"effect": "write", "cache_ttl_s": 60}])
def test_a_python_tool_that_asks_for_nothing_has_nothing_before_it(more: Any) -> None:
    assert guards_of(LOOKUP | more) is None
    assert guards_of({**LOOKUP, "type": "http"}) is not None
    assert guards_of({**LOOKUP, "type": "http", "breaker": None}) is None
    assert guards_of({**LOOKUP, "concurrency": 4}) == Guards(concurrency=4)

"""A stopped agent takes no run from another one either: not by a call, not by a hand-off, nor beside the stop."""

import threading
from collections.abc import Iterable

import pytest
from django.db import connection

from agents.actions import stopping
from agents.core.children import Callees
from agents.core.state import Call
from agents.engine.driver import Driver
from agents.engine.store import Step
from tests.agents.engine.test_children import CASE, CLERK, KEYS, children_of
from tests.agents.engine.test_grants import denied
from tests.agents.engine.test_handoff import TOOLS
from tests.agents.engine.waiting import ended
from tests.worlds import LOOKUP, VERDICT, World


def stop(acme: World, slug: str) -> None:
    stopping.stop(acme.agent(slug), reason="It loops.", acting_as=acme.alice)


def office(acme: World) -> None:
    acme.define("clerk", role="You look keys up", tool_specs={"lookup": LOOKUP}, input_schema=KEYS)
    acme.define("boss", role="You delegate one thing.", tool_specs={"ask_clerk": CLERK})


def test_a_call_of_a_stopped_agent_starts_nothing(acme: World, driver: Driver) -> None:
    office(acme)
    stop(acme, "clerk")
    run = ended(acme, acme.submit("boss", CASE))
    assert denied(acme, run) == [("ask_clerk", "not_published")]
    assert children_of(acme, run) == []


def test_nothing_is_handed_to_a_stopped_agent(acme: World, driver: Driver) -> None:
    acme.define("expert", role="You know better.")
    acme.define("reception", role="You hand over.", tool_specs=TOOLS, output_schema=VERDICT)
    stop(acme, "expert")
    run = ended(acme, acme.submit("reception", CASE))
    assert denied(acme, run) == [("to_expert", "not_published")]
    assert children_of(acme, run) == []


def test_a_call_whose_agent_is_stopped_after_it_was_looked_up_starts_nothing(
    acme: World, driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    office(acme)
    real, stopped = Step.callees, threading.Event()

    def looked_up_then_stopped(step: Step, of: Iterable[Call]) -> Callees:
        found = real(step, of)
        if found.agents and not stopped.is_set():
            assert found.agents["clerk"].version_id is not None
            stopper = threading.Thread(target=_stop, args=[acme, "clerk"])
            stopper.start()
            stopper.join(30)
            stopped.set()
        return found

    monkeypatch.setattr(Step, "callees", looked_up_then_stopped)
    run = ended(acme, acme.submit("boss", CASE))
    assert stopped.is_set()
    assert denied(acme, run) == [("ask_clerk", "not_published")]
    assert children_of(acme, run) == []


def _stop(acme: World, slug: str) -> None:
    try:
        stop(acme, slug)
    finally:
        connection.close()

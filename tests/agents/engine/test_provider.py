"""The provider's faults as a run meets them: waited for durably, nothing broken ever executed."""

import time
from collections.abc import Callable
from uuid import UUID

import httpx2

from agents.engine.driver import Driver
from agents.models import Run
from tests.agents.engine.serving import serving
from tests.worlds import LEDGER, LOOKUP, World

Settles = Callable[[World, UUID], Run]


def test_overload_and_rate_limits_are_waited_for_without_a_lease(acme: World, driver: Driver, settles: Settles) -> None:
    acme.define("tired", role="You are overloaded.")
    run = acme.submit("tired", {"of": acme.slug})
    ended = settles(acme, run.id)
    assert ended.status == "completed"
    waits = [stored.facts for stored in acme.events(run.id) if stored.action == "run.waiting"]
    assert [(wait["waiting_for"], wait["reason"]) for wait in waits] == [
        ("provider", "overloaded"),
        ("provider", "rate_limited"),
    ]


def test_nothing_of_a_broken_answer_is_executed(acme: World, driver: Driver, settles: Settles) -> None:
    acme.define("broken", role="You break off.", tool_specs={"lookup": LOOKUP})
    run = acme.submit("broken", {"a": f"cut {acme.slug}"})
    assert settles(acme, run.id).status == "completed"
    actions = acme.actions(run.id)
    assert actions.index("model.failed") < actions.index("tool.requested")
    assert LEDGER.effects[f"lookup cut {acme.slug}"] == 1


def test_odd_numbers_go_back_to_the_model_exactly_and_are_not_executed(
    acme: World, driver: Driver, settles: Settles
) -> None:
    acme.define("odd", role="You use odd numbers.", tool_specs={"lookup": LOOKUP})
    run = acme.submit("odd", {"of": acme.slug})
    assert settles(acme, run.id).status == "completed"
    answer = next(stored for stored in acme.events(run.id) if stored.action == "model.answered")
    assert '"odd":1.0,"big":90071992547409931234' in answer.payload["content"]["json"]
    denied = next(stored for stored in acme.events(run.id) if stored.action == "tool.denied")
    assert denied.facts["code"] == "invalid_arguments"


def test_one_process_drives_64_runs_that_wait_on_a_slow_model(acme: World, model_url: str, settles: Settles) -> None:
    acme.define("slow", role="You are slow.")
    runs = [acme.submit("slow", {"number": number, "of": acme.slug}) for number in range(64)]
    with serving(model_url):
        assert all(settles(acme, run.id).status == "completed" for run in runs)
    assert httpx2.get(f"{model_url}/rehearsal/stats").json()["most_open"] >= 64


def test_a_worker_that_is_told_to_stop_gives_its_runs_back(acme: World, model_url: str, settles: Settles) -> None:
    acme.define("looker", role="You look up twice.", tool_specs={"lookup": LOOKUP})
    run = acme.submit("looker", {"a": f"a {acme.slug}", "b": f"b {acme.slug}"})
    with serving(model_url):
        while "tool.finished" not in acme.actions(run.id):
            time.sleep(0.01)
    given_back = acme.run(run.id)
    assert given_back.status == "running"
    assert given_back.ready_at is not None
    assert given_back.worker is None
    with serving(model_url):
        assert settles(acme, run.id).status == "completed"
    assert LEDGER.effects[f"lookup a {acme.slug}"] == 1
    assert LEDGER.effects[f"lookup b {acme.slug}"] == 1

"""Runs that runs start, dispatched by Temporal: the same journals, and one end each."""

from pytest_django import Settings

from agents.actions.runs import cancel
from agents.engine.temporal.worker import TemporalWorker
from agents.models import Run
from db.scope import tenant_scope
from tests.agents.engine.temporal.journals import comparable
from tests.agents.engine.temporal.test_equal_journals import Json, Settles, engine, model_urls, played
from tests.agents.engine.test_children import CLERK, asking, children_of
from tests.agents.engine.waiting import ended
from tests.worlds import LOOKUP, PAY, World

__all__ = ["model_urls"]


def test_the_journals_of_a_call_and_of_its_run_are_equal(
    acme: World, on_temporal: None, model_urls: dict[str, str], settings: Settings, settles: Settles
) -> None:
    acme.define("clerk", role="You look keys up", tool_specs={"lookup": LOOKUP})
    acme.define("first-django-q", role="You delegate one thing.", tool_specs={"ask_clerk": CLERK})
    acme.define("second", role="You delegate one thing.", more_tools=["ask_clerk"])
    journals: dict[str, list[Json]] = {}
    for agent, name in {"first-django-q": "django_q", "second": "temporal"}.items():
        with engine(name, model_urls[name], settings):
            journals[name] = [played(acme, agent, settles)]
        (child,) = children_of(acme, newest(acme, agent))
        assert child.engine == (None if name == "django_q" else "temporal")
        journals[name].append(comparable(acme, child.id))

    assert journals["temporal"] == journals["django_q"]
    assert [each[-1][0] for each in journals["temporal"]] == ["run.completed"] * 2


def newest(acme: World, agent: str) -> Run:
    """The agent's latest run."""
    with tenant_scope(acme.tenant_id):
        return Run.objects.filter(agent__slug=agent).latest("id")


def test_cancelling_a_run_ends_what_it_started(acme: World, worker: TemporalWorker) -> None:
    acme.define("clerk", role="You settle bills", tool_specs={"pay": PAY})
    acme.define("boss", role="You delegate one thing.", tool_specs={"ask_clerk": CLERK})
    run = acme.submit("boss", {"a": "x", "b": "y"})
    child = asking(acme, run)
    cancel(run.id, acting_as=acme.alice)
    assert ended(acme, run).status == "cancelled"
    assert acme.run(child.id).status == "cancelled"

"""Agents whose model breaks, and what rows 16 to 23 look at. The faults stand in `scripts/provider.yaml`.

Each agent has the tool `give`, which nobody has to approve and which must not be called twice.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

from ops.demo.rest import fetch
from tests.faults.agents import http
from tests.faults.invariants import broken
from tests.faults.rig import Rig

Json = Any


def meeting(rig: Rig, fault: str, **spec: Json) -> str:
    """Make an agent whose model meets this fault, and start a run of it; returns the run's id."""
    give = http("POST", f"{rig.effects.url}/each/{{case}}", effect="write")
    slug = f"meets-{fault.replace('_', '-')}"
    rig.world.define(slug, role=f"You meet {fault}.", tool_specs={"give": give}, **spec)
    rig.world.grant("review", rig.world.agent(slug), rig.world.rita)
    return rig.start(slug, {"case": uuid4().hex[:8]})


def gifts(rig: Rig, run: str) -> int:
    """How many gifts the run has made."""
    return sum(rig.effects.ledger.of(run).values())


def calls(rig: Rig, script: str) -> int:
    """How many calls of the model met that script."""
    count: int = fetch(f"{rig.environment['ANTHROPIC_BASE_URL']}/rehearsal/stats")["scripts"].get(script, 0)
    return count


def of_type(events: list[Json], *types: str) -> list[Json]:
    """The data of the events of these types, each with its time as `at`."""
    return [{**event["data"], "at": event["at"]} for event in events if event["type"] in types]


@contextmanager
def checked(rig: Rig, run: str) -> Iterator[None]:
    """Check the invariants when the block is left."""
    yield
    assert not broken(rig.alice, run, rig.effects.ledger, rig.look)

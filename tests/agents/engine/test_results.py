"""Results that no journal can keep: the call is over all the same, and nobody says of a write that it was not made."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from agents.core.decide import CallModel, Perform
from agents.engine.executor import Means
from agents.tools.seam import Finished
from tests.agents.engine.test_leases import claim_and_begin, means
from tests.worlds import LOOKUP, World

__all__ = ["means"]


def nested() -> Any:
    """A value deeper than any stack."""
    value: Any = 0
    for _ in range(100_000):
        value = [value]
    return value


@pytest.mark.parametrize("result", [nested, object])
@pytest.mark.parametrize(
    ("effect", "becomes"),
    [
        ({"effect": "read"}, "tool.failed"),
        ({"effect": "write", "idempotent": True}, "tool.unknown"),
        ({"effect": "write"}, "tool.unknown"),
    ],
    ids=["read", "idempotent write", "write"],
)
def test_what_came_of_a_call_whose_result_cannot_be_kept_goes_by_its_effect(
    acme: World, means: Means, effect: dict[str, Any], becomes: str, result: Callable[[], Any]
) -> None:
    acme.define("looker", role="You look up twice.", tool_specs={"lookup": LOOKUP | effect})
    run = acme.submit("looker", {"a": f"a {acme.slug}", "b": f"b {acme.slug}"})
    executor = claim_and_begin(replace(means, perform=lambda *_: Finished(result())), run)
    command = executor.one_step(CallModel(1))
    assert isinstance(command, Perform)

    executor.one_step(command)

    (over,) = (stored for stored in acme.events(run.id) if stored.action in {"tool.failed", "tool.unknown"})
    assert over.action == becomes
    assert over.payload["error"].startswith("The call was made, and its result is not JSON that can be kept")

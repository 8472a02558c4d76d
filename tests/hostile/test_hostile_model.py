"""A model that obeys every instruction it reads does nothing that the person it works for may not have done.

Whatever a stranger writes, and whatever the people at the inbox do: no effect outside the person's grants and their
conditions, the tools' schemas, the policies and the caps; and none that changes something, once the stranger has been
read, without the people it takes.
"""

from random import Random

import pytest

from tests.hostile.conftest import TALLY, Servers
from tests.hostile.playing import REVIEWERS, desk, play
from tests.hostile.served_sets import SERVED
from tests.hostile.tool_sets import TOOL_SETS, ToolSet

EACH = [
    pytest.param(tools, reviewer, id=f"{tools.name}, {reviewer}")
    for tools in (*TOOL_SETS, *SERVED)
    for reviewer in REVIEWERS
]


@pytest.mark.parametrize(("tools", "reviewer"), EACH)
def test_nothing_happens_that_may_not(database: None, servers: Servers, tools: ToolSet, reviewer: str) -> None:
    _play(tools, reviewer, range(2), servers)


@pytest.mark.large
@pytest.mark.parametrize(("tools", "reviewer"), EACH)
def test_nothing_happens_that_may_not_in_many_runs(
    database: None, servers: Servers, tools: ToolSet, reviewer: str
) -> None:
    _play(tools, reviewer, range(2, 40), servers)


def _play(tools: ToolSet, reviewer: str, seeds: range, servers: Servers) -> None:
    places, trap = servers
    at, before = desk(tools, places), TALLY.counts["children"]
    for seed in seeds:
        play(at, Random(f"{tools.name} {reviewer} {seed}"), reviewer, TALLY)  # noqa: S311 - to be repeated
    assert trap.connections == 0
    assert TALLY.counts["children"] > before or not tools.below, "no run was started by another one"

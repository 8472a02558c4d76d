"""Floor: the agent loop with no durability at all."""

import argparse
from collections.abc import Callable

from common import agent_loop, main, model_client, run_tool


def setup(options: argparse.Namespace) -> Callable[[int], str]:
    """Return the run function."""
    call = model_client(options)
    return lambda number: agent_loop(call, run_tool)


main(setup)

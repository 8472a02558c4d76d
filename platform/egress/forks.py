"""What a forked child must make anew: locks that threads of the parent held, what they were at, its connections.

At the fork, when the child has one thread: of many that find it out at their next call, one might replace what another
has begun to use.
"""

import os
from typing import Final, Protocol
from weakref import WeakSet


class Forked(Protocol):
    """Something that a fork leaves unusable."""

    def start_afresh(self) -> None:
        """Make it usable in the child."""


_left: Final[WeakSet[Forked]] = WeakSet()


def start_afresh_in_children(of: Forked) -> None:
    """Have it started afresh in each child, for as long as somebody else refers to it."""
    _left.add(of)


def _start_all_afresh() -> None:
    for each in list(_left):
        each.start_afresh()


os.register_at_fork(after_in_child=_start_all_afresh)

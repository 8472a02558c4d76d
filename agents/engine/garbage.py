"""The garbage collector of a process that drives runs for weeks."""

import gc
from functools import cache
from typing import Final

#: Objects made, net of those that went, between two rounds over the young. Python's 700 are three steps' worth.
YOUNG: Final = 10_000


@cache
def leave_what_is_loaded() -> None:
    """Take what the process has loaded by now out of the collector's rounds, and have it go round less often.

    Code and settings stay for the process's life; going through them again and again was an eighth of the engine's CPU.
    Does nothing the second time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, *gc.get_threshold()[1:])

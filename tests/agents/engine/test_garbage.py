"""What a worker has loaded is not gone through by the garbage collector; what it drops later still goes."""

import subprocess
import sys

PROBE = """
import gc, weakref
from agents.engine.garbage import YOUNG, leave_what_is_loaded
assert gc.get_freeze_count() == 0
leave_what_is_loaded()
frozen = gc.get_freeze_count()
assert frozen > 1000, frozen
assert gc.get_threshold()[0] == YOUNG
leave_what_is_loaded()
assert gc.get_freeze_count() == frozen
class Node: pass
node = Node()
node.itself = node
gone = weakref.ref(node)
del node
gc.collect()
assert gone() is None
"""


def test_what_is_loaded_is_left_alone_and_what_comes_later_is_collected() -> None:
    ended = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr

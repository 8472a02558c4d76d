"""A process that forks while its threads write steps; the child, which has none of them, writes one of its own.

`python -m tests.agents.engine.forking` says so when that came to its end, as in q2's workers and their replacements.
"""

import os
import signal
import threading
import time
from typing import Any
from uuid import UUID

import django

#: Seconds after which a child that waits is ended.
PATIENCE_S = 20

TENANT = UUID(int=1)


def main() -> None:
    """Fork, and end as the child does."""
    django.setup()
    from agents.engine import in_line

    begun, never, line = threading.Event(), threading.Event(), in_line.LINE
    parent = os.getpid()

    def write(_: UUID, steps: Any) -> Any:
        if os.getpid() == parent:
            begun.set()
            never.wait()
        return [None for _ in steps]

    line._write = write
    threading.Thread(target=line.write, args=(TENANT, None), daemon=True).start()
    begun.wait()
    threading.Thread(target=line.write, args=(TENANT, None), daemon=True).start()
    while not line._lines[TENANT]:
        time.sleep(0.01)
    with line._lock:  # as some thread may hold it when another one forks
        child = os.fork()
        if child == 0:
            _write_as_child(line)
    raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


def _write_as_child(line: Any) -> None:
    signal.alarm(PATIENCE_S)
    line.write(TENANT, None)
    print("the child wrote", flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()

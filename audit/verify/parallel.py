"""Work on many leaves by all of the machine's cores, where that is worth it."""

import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from typing import Final, TypeVar

T = TypeVar("T")
R = TypeVar("R")

#: Below so many leaves the processes cost more than they save.
WORTH_IT: Final = 20_000


def mapped(work: Callable[[T], R], batches: Iterable[T], *, leaves: int) -> Iterator[R]:
    """Yield `work(batch)` of each batch, in their order. leaves: how many there are in all.

    In forked processes, so that the verifier works as one file too; in this one where there is no fork, or one core.
    """
    cores = os.cpu_count() or 1
    if leaves < WORTH_IT or cores == 1 or "fork" not in multiprocessing.get_all_start_methods():
        yield from map(work, batches)
        return
    with ProcessPoolExecutor(cores, mp_context=multiprocessing.get_context("fork")) as pool:
        ahead: deque[Future[R]] = deque()
        for batch in batches:
            ahead.append(pool.submit(work, batch))
            if len(ahead) > 2 * cores:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()

"""Group commit: one alone is written at once, those who come meanwhile together, and each gets what is its own."""

import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

import pytest
from django.conf import settings

from agents.engine.together import MOST, Together
from tests.agents.engine.conftest import PATIENCE_S
from tests.ops.processes import eventually


class Writer:
    """Writes numbers, giving each back doubled. The first writing waits until it is let go."""

    def __init__(self) -> None:
        self.written: list[tuple[str, list[int]]] = []
        self.begun, self.let_go = threading.Event(), threading.Event()
        self.fails: Callable[[Sequence[int]], BaseException | None] = lambda numbers: None
        self.together: Together[str, int, int] = Together(self.write)
        self.threads = ThreadPoolExecutor(200)
        self.off = 0  # how many results too many are given for those who were in line

    def write(self, key: str, numbers: Sequence[int]) -> list[int]:
        self.written.append((key, list(numbers)))
        if not self.begun.is_set():
            self.begun.set()
            assert self.let_go.wait(PATIENCE_S)
        if error := self.fails(numbers):
            raise error
        made = [2 * number for number in numbers]
        return [*made, 0][: len(made) + self.off] if len(numbers) > 1 else made

    def soon(self, *numbers: int, key: str = "a") -> list[Future[int]]:
        """Have each written by a thread of its own; they are in the line, in order, when this returns."""
        made = []
        for number in numbers:
            waiting = self.waiting(key) if self.begun.is_set() else -1
            made.append(self.threads.submit(self.together.write, key, number))
            assert eventually(partial(self.is_other_than, waiting, key))
            assert self.begun.wait(PATIENCE_S)
        return made

    def is_other_than(self, waiting: int, key: str) -> bool:
        return self.waiting(key) != waiting

    def waiting(self, key: str) -> int:
        return len(self.together._lines.get(key, ()))


@pytest.fixture
def writer() -> Writer:
    return Writer()


def results(of: Sequence[Future[int]]) -> list[int]:
    return [each.result(PATIENCE_S) for each in of]


def test_one_alone_is_written_at_once(writer: Writer) -> None:
    writer.let_go.set()
    assert [writer.together.write("a", 1), writer.together.write("a", 2)] == [2, 4]
    assert writer.written == [("a", [1]), ("a", [2])]
    assert not writer.together._lines


def test_those_who_come_meanwhile_are_written_together(writer: Writer) -> None:
    made = writer.soon(1, 2, 3, 4)
    writer.let_go.set()
    assert results(made) == [2, 4, 6, 8]
    assert writer.written == [("a", [1]), ("a", [2, 3, 4])]
    assert not writer.together._lines


def test_keys_do_not_wait_for_each_other(writer: Writer) -> None:
    first = writer.soon(1)
    assert writer.together.write("b", 7) == 14
    assert not first[0].done()
    writer.let_go.set()
    assert results(first) == [2]


def test_no_writing_takes_more_than_so_many(writer: Writer) -> None:
    made = writer.soon(*range(2 * MOST + 2))
    writer.let_go.set()
    assert results(made) == [2 * number for number in range(2 * MOST + 2)]
    assert [len(numbers) for _, numbers in writer.written] == [1, MOST, MOST, 1]


def test_a_failure_is_everybodys_and_ends_with_them(writer: Writer) -> None:
    writer.fails = lambda numbers: OSError("away") if len(numbers) > 1 else None
    made = writer.soon(1, 2, 3)
    writer.let_go.set()
    assert made[0].result(PATIENCE_S) == 2
    errors = [each.exception(PATIENCE_S) for each in made[1:]]
    assert [str(error) for error in errors] == ["away", "away"]
    assert all(isinstance(error, OSError) for error in errors)
    assert len({id(error) for error in errors}) == 2  # each thread has one of its own
    assert writer.together.write("a", 5) == 10


def test_a_writer_that_is_ended_leaves_nobody_waiting(writer: Writer) -> None:
    writer.fails = lambda numbers: SystemExit() if len(numbers) > 1 else None
    made = writer.soon(1, 2, 3)
    writer.let_go.set()
    with pytest.raises(SystemExit):
        made[1].result(PATIENCE_S)
    with pytest.raises(RuntimeError, match="its writer ended"):
        made[2].result(PATIENCE_S)
    assert writer.together.write("a", 5) == 10


def test_many_threads_get_each_their_own(writer: Writer) -> None:
    writer.let_go.set()

    def write(thread: int) -> bool:
        numbers = range(1000 * thread, 1000 * thread + 200)
        return all(writer.together.write("ab"[thread % 2], number) == 2 * number for number in numbers)

    assert all(writer.threads.map(write, range(16), timeout=PATIENCE_S))
    written = [number for _, numbers in writer.written for number in numbers]
    assert sorted(written) == [1000 * thread + number for thread in range(16) for number in range(200)]
    assert not writer.together._lines


@pytest.mark.parametrize("off", [-1, 1])
def test_no_result_is_taken_for_anothers_and_nobody_is_left_without(writer: Writer, off: int) -> None:
    writer.off = off
    made = writer.soon(1, 2, 3)
    writer.let_go.set()
    for each in made[1:]:
        with pytest.raises(RuntimeError, match=f"2 were written together, and {2 + off} results came of it"):
            each.result(PATIENCE_S)


def test_a_forked_process_waits_for_no_thread_that_it_does_not_have(process_environment: dict[str, str]) -> None:
    """In a process of its own: it forks while a thread of it writes, and another stands in line behind that."""
    command = [sys.executable, "-m", "tests.agents.engine.forking"]
    path = f"{settings.BASE_DIR}:{settings.BASE_DIR / 'platform'}"

    forked = subprocess.run(
        command, env=process_environment | {"PYTHONPATH": path}, cwd=settings.BASE_DIR, capture_output=True, text=True
    )

    assert (forked.returncode, forked.stdout) == (0, "the child wrote\n"), forked.stderr

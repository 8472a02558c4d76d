"""Calls that may hang are bounded."""

import threading
from contextvars import ContextVar

import pytest

from egress.threads import OutOfTimeError, Threads, TooManyAbandonedError

TENANT: ContextVar[str] = ContextVar("TENANT", default="none")


def test_a_value_is_returned_and_an_error_raised() -> None:
    threads = Threads("test")

    assert threads.call(lambda: 42, 5) == 42
    with pytest.raises(ZeroDivisionError):
        threads.call(lambda: 1 // 0, 5)
    with pytest.raises(SystemExit):
        threads.call(lambda: exit(3), 5)


def test_threads_are_used_again() -> None:
    threads = Threads("test")

    assert len({threads.call(threading.get_ident, 5) for _ in range(20)}) == 1


def test_a_call_that_hangs_is_abandoned_and_their_number_is_bounded() -> None:
    threads = Threads("test", max_abandoned=2)
    release = threading.Event()
    ended = threading.Semaphore(0)

    def hang() -> None:
        release.wait(30)
        ended.release()

    for _ in range(2):
        with pytest.raises(OutOfTimeError):
            threads.call(hang, 0.01)
    with pytest.raises(TooManyAbandonedError):
        threads.call(lambda: 1, 5)
    release.set()
    ended.acquire()
    ended.acquire()
    while threads.abandoned:
        threading.Event().wait(0.01)

    assert threads.call(lambda: 1, 5) == 1


def test_an_idle_thread_ends_and_another_takes_its_place() -> None:
    threads = Threads("short-lived", idle_s=0.01)
    threads.call(lambda: None, 5)
    while any(thread.name == "short-lived" and thread.is_alive() for thread in threading.enumerate()):
        threading.Event().wait(0.01)

    assert threads.call(lambda: 1, 5) == 1


def test_context_variables_do_not_leak_from_call_to_call() -> None:
    threads = Threads("test")
    threads.call(lambda: TENANT.set("acme"), 5)

    assert threads.call(TENANT.get, 5) == "none"


def test_a_call_gets_the_time_that_it_is_given_besides() -> None:
    threads = Threads("test")
    release = threading.Event()
    given = iter([0.02, 0.02, 0.0])

    assert threads.call(lambda: release.wait(30), 0.02, lambda: release.set() or 5.0)  # type: ignore[func-returns-value]
    with pytest.raises(OutOfTimeError):
        threads.call(lambda: threading.Event().wait(1), 0.02, lambda: next(given))
    assert list(given) == []

"""One call, whatever the outside does: bounded, repeated only where that is safe, clean, and without secrets."""

import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from agents.tools import perform as module
from agents.tools.perform import Bounds, longest, perform
from agents.tools.python.functions import Functions
from agents.tools.python.kind import PythonKind
from agents.tools.seam import (
    Failed,
    Finished,
    NoLongerOurs,
    Outcome,
    OutcomeUnknown,
    ToolCall,
    ToolContext,
)
from egress.threads import Threads
from tests.agents.tools.contexts import Context, call_of
from tests.agents.tools.performing import SECRET, Kind, gives, run

PASSING = Failed("timeout", "slow", retryable=True)


# Attempts


def test_an_unknown_kind_is_a_fault_of_the_definition() -> None:
    outcome = perform(call_of("nowhere", {}), Context(), registry={})

    assert isinstance(outcome, Failed)
    assert outcome.code == "misconfigured"


@pytest.mark.parametrize("spec", [{"effect": "read"}, {"effect": "write", "idempotent": True}])
def test_a_passing_failure_is_tried_again_with_growing_pauses(spec: dict[str, Any]) -> None:
    kind = Kind(gives(PASSING), gives(PASSING), gives(Finished(1)))
    outcome, pauses = run(kind, attempts=3, backoff_s=0.5, **spec)

    assert (outcome, kind.calls, pauses) == (Finished(1), 3, [0.5, 1.0])


def test_a_call_that_may_not_be_begun_any_more_has_no_outcome() -> None:
    def act(call: ToolCall, context: ToolContext) -> Outcome:
        context.begin()
        return Finished(1)

    with pytest.raises(NoLongerOurs):
        run(Kind(act), Context(lost=True))


def test_pauses_are_bounded() -> None:
    _, pauses = run(Kind(gives(PASSING)), attempts=6, backoff_s=1.5, bounds=Bounds(pause_s=2.0))

    assert pauses == [1.5, 2.0, 2.0, 2.0, 2.0]


@pytest.mark.parametrize("effect", ["write", "irreversible"])
def test_a_write_that_is_not_idempotent_is_made_once(effect: str) -> None:
    kind = Kind(gives(PASSING))
    outcome, _ = run(kind, attempts=5, effect=effect)

    assert (outcome, kind.calls) == (PASSING, 1)


@pytest.mark.parametrize("outcome", [Failed("http_status", "no"), OutcomeUnknown("?"), Finished(None)])
def test_what_will_not_change_is_not_tried_again(outcome: Outcome) -> None:
    kind = Kind(gives(outcome))

    assert run(kind, attempts=5) == (outcome, [])
    assert kind.calls == 1


def test_the_last_failure_is_told_and_that_an_earlier_attempt_may_have_been_done() -> None:
    kind = Kind(gives(Failed("timeout", "slow", True, True)), gives(Failed("unreachable", "gone", True)))
    outcome, _ = run(kind, attempts=2, effect="write", idempotent=True)

    assert outcome == Failed("unreachable", "gone", True, True)


BROKE_OFF = Failed("timeout", "cut", retryable=True, maybe_done=True)
UNREACHABLE = Failed("unreachable", "reset", retryable=True)


@pytest.mark.parametrize(
    ("broke", "spec"),
    [(BROKE_OFF, {"effect": "write", "idempotent": True}), (UNREACHABLE, {"effect": "read"})],
)
def test_what_broke_off_is_called_again_whatever_retries_says(broke: Failed, spec: dict[str, Any]) -> None:
    kind = Kind(gives(broke), gives(broke), gives(Finished(1)))

    assert run(kind, **spec)[0] == Finished(1)
    assert kind.calls == 3


def test_a_write_refused_after_it_broke_off_may_have_been_done() -> None:
    kind = Kind(gives(BROKE_OFF), gives(Failed("http_status", "HTTP 409: it is booked")))
    outcome, _ = run(kind, effect="write", idempotent=True)

    assert outcome == Failed("http_status", "HTTP 409: it is booked", maybe_done=True)


def test_what_breaks_off_each_time_may_have_been_done() -> None:
    kind = Kind(gives(BROKE_OFF))

    assert run(kind, effect="write", idempotent=True)[0] == BROKE_OFF
    assert kind.calls == 3


def test_a_worker_that_lost_its_lease_repeats_nothing() -> None:
    kind = Kind(gives(PASSING))
    call = call_of("kind", {}, attempts=5)
    perform(call, Context(), registry={"kind": kind}, may_go_on=lambda: False, sleep=lambda seconds: None)

    assert kind.calls == 1


@pytest.mark.parametrize(("attempts", "seconds"), [(1, 46.0), (5, 70.0), (50, 130.0)])
def test_how_long_a_call_can_take_is_known(attempts: int, seconds: float) -> None:
    assert longest(call_of("kind", {}, attempts=attempts, timeout_s=10.0).definition) == seconds


# Kinds that break


def breaks(call: ToolCall, context: ToolContext) -> Outcome:
    raise RuntimeError(f"boom {context.secret('s')}")


def test_a_kind_that_breaks_is_a_failure_of_a_read(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        outcome, _ = run(Kind(breaks), Context(secrets={"s": SECRET}))

    assert outcome == Failed("raised", "The tool broke inside the platform (RuntimeError).")
    assert "test_perform.py" in caplog.text
    assert SECRET not in caplog.text


def test_a_kind_that_breaks_leaves_a_write_unknown() -> None:
    assert isinstance(run(Kind(breaks), Context(secrets={"s": SECRET}), effect="write")[0], OutcomeUnknown)


def test_an_idempotent_write_whose_kind_breaks_is_made_again_with_the_same_key() -> None:
    keys: list[str] = []

    def act(call: ToolCall, context: ToolContext) -> Outcome:
        keys.append(call.idempotency_key)
        raise RuntimeError

    outcome, _ = run(Kind(act), effect="write", idempotent=True)

    assert isinstance(outcome, Failed)
    assert (outcome.code, outcome.maybe_done) == ("raised", True)
    assert keys == ["run-1-call-1"] * 3


class BrokenContext(Context):
    """A context whose database is away."""

    def secret(self, name: str) -> str:
        """Fail."""
        raise ConnectionError("postgresql://app:pw@db")


def test_a_context_that_breaks_surely_made_no_call() -> None:
    outcome, _ = run(Kind(breaks), BrokenContext(), effect="write")

    assert outcome == Failed("busy", "The platform could not read what the tool needs.", retryable=True)


# Python tools


@pytest.fixture
def release() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


def python(function: Callable[..., Any], **spec: Any) -> Outcome:
    functions = Functions(group=None)
    functions.add("f", function)
    call = call_of("python", {"function": "f"}, **spec)
    return perform(call, Context(), registry={"python": PythonKind(functions)}, sleep=lambda seconds: None)


def test_a_python_tool_that_hangs_is_abandoned_and_a_read_failed(release: threading.Event) -> None:
    outcome = python(lambda: release.wait(60), timeout_s=0.05)

    assert isinstance(outcome, Failed)
    assert (outcome.code, outcome.retryable, outcome.maybe_done) == ("timeout", True, False)


def test_an_idempotent_write_that_hangs_may_have_been_done(release: threading.Event) -> None:
    outcome = python(lambda: release.wait(60), timeout_s=0.05, effect="write", idempotent=True)

    assert isinstance(outcome, Failed)
    assert outcome.maybe_done


@pytest.mark.parametrize("effect", ["write", "irreversible"])
def test_any_other_write_that_hangs_is_unknown(release: threading.Event, effect: str) -> None:
    assert isinstance(python(lambda: release.wait(60), timeout_s=0.05, effect=effect), OutcomeUnknown)


def test_the_number_of_abandoned_tools_is_bounded(release: threading.Event, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_THREADS", Threads("tool", max_abandoned=2))
    called: list[int] = []
    for _ in range(2):
        python(lambda: release.wait(60), timeout_s=0.02, effect="write")
    outcome = python(lambda: called.append(1), effect="write")

    assert isinstance(outcome, Failed)
    assert (outcome.code, outcome.retryable) == ("busy", True)
    assert called == []


def test_a_python_tool_runs_in_a_thread_that_is_used_again() -> None:
    names = {str(python(lambda: threading.current_thread().name)) for _ in range(20)}
    threads = {str(python(lambda: threading.get_ident() % 2**53)) for _ in range(20)}

    assert names == {"Finished(result='tool', truncated=False, from_cache=False)"}
    assert len(threads) == 1


def test_a_python_tool_that_raises_failed_and_its_traceback_stays_here() -> None:
    def function() -> None:
        raise KeyError("no such key")

    outcome = python(function)

    assert outcome == Failed("raised", "KeyError: 'no such key'")

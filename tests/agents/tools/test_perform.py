"""One call, whatever the outside does: bounded, repeated only where that is safe, clean, and without secrets."""

import base64
import json
import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from django.conf import settings

from agents.core.exact import enclose
from agents.tools import perform as module
from agents.tools.perform import Bounds, longest, perform
from agents.tools.python.functions import Functions
from agents.tools.python.kind import PythonKind
from agents.tools.registry import build_registry
from agents.tools.results import MAX_DEPTH, written
from agents.tools.seam import (
    ConfigProblem,
    DataSource,
    Failed,
    Finished,
    NoLongerOurs,
    Outcome,
    OutcomeUnknown,
    PlatformAway,
    ToolCall,
    ToolContext,
    ToolDefinition,
)
from egress.client import Client
from egress.threads import Threads
from tests.agents.tools.contexts import Context, call_of
from tests.egress.servers import answer, serve

SECRET = "hunter2/\u00e9+?secret"


class Kind:
    """A kind that does what the test says, in the caller's thread."""

    bounds_itself = True

    def __init__(self, *acts: Callable[[ToolCall, ToolContext], Outcome]) -> None:
        self.acts = list(acts)
        self.calls = 0

    def problems(self, definition: ToolDefinition) -> list[ConfigProblem]:
        """Nothing is wrong."""
        return []

    def call(self, call: ToolCall, context: ToolContext) -> Outcome:
        """Do the next act; the last one again and again."""
        self.calls += 1
        return self.acts[min(self.calls, len(self.acts)) - 1](call, context)


def gives(outcome: Outcome) -> Callable[[ToolCall, ToolContext], Outcome]:
    return lambda call, context: outcome


def run(kind: Kind, context: Context | None = None, **spec: Any) -> tuple[Outcome, list[float]]:
    pauses: list[float] = []
    bounds = spec.pop("bounds", Bounds())
    outcome = perform(
        call_of("x", {}, {}, **spec),
        context or Context(),
        registry={"x": kind},
        bounds=bounds,
        sleep=pauses.append,
        jitter=lambda: 1.0,
    )
    return outcome, pauses


def result_of(value: Any, **spec: Any) -> Outcome:
    return run(Kind(gives(Finished(value))), **spec)[0]


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


@pytest.mark.parametrize(("attempts", "seconds"), [(1, 36.0), (5, 60.0), (50, 120.0)])
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


class AwayContext(Context):
    """A context whose database is away for the first few questions."""

    def __init__(self, times: int, **given: Any) -> None:
        super().__init__(secrets={"s": SECRET}, **given)
        self.left = times

    def secret(self, name: str) -> str:
        """Answer when the database does."""
        self.left -= 1
        if self.left >= 0:
            raise PlatformAway
        return super().secret(name)


def asks_first(call: ToolCall, context: ToolContext) -> Outcome:
    context.secret("s")
    context.begin()
    return Finished("done")


def begins_first(call: ToolCall, context: ToolContext) -> Outcome:
    context.begin()
    context.secret("s")
    return Finished("done")


def test_a_call_waits_for_the_platforms_own_database() -> None:
    outcome, pauses = run(Kind(asks_first), AwayContext(7), effect="write", attempts=1)

    assert (outcome, len(pauses)) == (Finished("done"), 7)


def test_a_call_that_waited_until_the_run_was_anothers_is_not_made() -> None:
    with pytest.raises(NoLongerOurs):
        run(Kind(asks_first), AwayContext(1, lost=True), effect="write")


@pytest.mark.parametrize(("idempotent", "outcome"), [(False, OutcomeUnknown), (True, Finished)])
def test_a_call_that_may_have_had_its_effect_is_not_begun_anew(idempotent: bool, outcome: type[Outcome]) -> None:
    found, _ = run(Kind(begins_first), AwayContext(1), effect="write", idempotent=idempotent)

    assert isinstance(found, outcome)


# Results


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (None, None),
        ((1, 2), [1, 2]),
        ({1: "a"}, {"1": "a"}),
        ("a\x00b", "a\ufffdb"),
        ({"k\x00": ["\ud800x\udfff"]}, {"k\ufffd": ["\ufffdx\ufffd"]}),
        ("\\u0000", "\\u0000"),
        (2**53 - 1, 2**53 - 1),
        ("9" * 40, "9" * 40),
        (1e300, 1e300),
        (True, True),
    ],
)
def test_a_result_is_kept_as_json_that_a_database_keeps(value: Any, kept: Any) -> None:
    assert result_of(value) == Finished(kept)


def endless() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


def deep() -> list[Any]:
    value: list[Any] = []
    for _ in range(100_000):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        float("inf"),
        2**53,
        [{"a": -(2**53)}],
        pytest.param(10**5000, id="huge"),
        object(),
        {1, 2},
        b"x",
        {(1, 2): 3},
        endless(),
        deep(),
    ],
)
def test_a_result_that_is_not_json_is_a_bad_result(value: Any) -> None:
    outcome = result_of(value)

    assert isinstance(outcome, Failed)
    assert outcome.code == "bad_result"
    assert isinstance(result_of(value, effect="write"), OutcomeUnknown)


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_the_depth_of_a_result_is_bounded_where_everybody_has_stack_for_it(opening: str, closing: str) -> None:
    def nested(levels: int) -> Any:
        return json.loads(opening * levels + "1" + closing * levels)

    kept = result_of(nested(MAX_DEPTH))
    assert kept == Finished(nested(MAX_DEPTH))
    assert enclose(nested(MAX_DEPTH)) == nested(MAX_DEPTH)
    for levels in (MAX_DEPTH + 1, 600, 900):
        outcome = result_of(nested(levels))
        assert isinstance(outcome, Failed)
        assert outcome.code == "bad_result"
        assert isinstance(result_of(nested(levels), effect="write"), OutcomeUnknown)
    assert result_of([[]] * 1000) == Finished([[]] * 1000)


def test_a_result_is_the_callers_own() -> None:
    shared = {"a": [1]}
    outcome = result_of(shared)
    shared["a"].append(2)

    assert outcome == Finished({"a": [1]})


def test_a_result_that_is_not_as_defined_is_a_bad_result() -> None:
    schema = {"type": "object", "properties": {"score": {"type": "integer", "maximum": 100}}, "required": ["score"]}

    assert result_of({"score": 1}, output_schema=schema) == Finished({"score": 1})
    outcome = result_of({"score": 101}, output_schema=schema)
    assert isinstance(outcome, Failed)
    assert outcome.code == "bad_result"
    assert "/score" in outcome.message
    assert isinstance(result_of({}, output_schema=schema, effect="irreversible"), OutcomeUnknown)


def test_a_schema_never_fetches_anything() -> None:
    with serve(lambda sock, request, nth: sock.sendall(answer(b"{}"))) as seen:
        outcome = result_of({}, output_schema={"$ref": f"{seen.url}/schema.json"})

    assert isinstance(outcome, Failed)
    assert seen.connections == 0


@pytest.mark.parametrize("value", ["x" * 300_000, ["\u00e9" * 10] * 30_000, {"a": '"' * 200_000}, "\x01" * 100_000])
def test_a_large_result_is_cut_with_a_note_to_the_model(value: Any) -> None:
    outcome = result_of(value)

    assert isinstance(outcome, Finished)
    assert outcome.truncated
    assert outcome.result["truncated"] is True
    assert "bytes" in outcome.result["note"]
    assert len(outcome.result["head"]) > 30_000
    assert len(written(outcome.result)[1].encode()) <= 256 * 1024


def test_a_result_just_within_the_bound_is_whole() -> None:
    assert result_of("x" * (256 * 1024 - 2)) == Finished("x" * (256 * 1024 - 2))


def test_a_long_message_is_cut() -> None:
    outcome, _ = run(Kind(gives(Failed("http_status", "x\x00" * 100_000))))

    assert isinstance(outcome, Failed)
    assert len(outcome.message) == 8000
    assert "\x00" not in outcome.message


# Secrets


def forms() -> list[str]:
    raw = SECRET.encode()
    return [
        SECRET,
        quote(SECRET, safe=""),
        quote(SECRET),
        quote(SECRET, safe="").lower(),
        base64.b64encode(raw).decode(),
        base64.b64encode(b"user:" + raw).decode(),
        base64.urlsafe_b64encode(b"us:" + raw + b":more").decode(),
        base64.b64encode(b"x" + raw + b"yz").decode().rstrip("="),
        raw.hex(),
        raw.hex().upper(),
        f'{{"echo": "{SECRET}"}}',
        "hunter2/\\u00e9+?secret",
    ]


def core_digits() -> list[str]:
    """What of the secret would be left in base64 if a form were missed."""
    return ["HVudGVyM", "odW50ZXIy", "dW50ZXIy", "aHVudGVy", "unter2", "756e74", "756E74"]


@pytest.mark.parametrize("form", forms())
def test_a_secret_that_was_handed_out_is_never_in_what_comes_back(form: str) -> None:
    def echo(outcome: Callable[[str], Outcome]) -> Kind:
        def act(call: ToolCall, context: ToolContext) -> Outcome:
            context.secret("s")
            return outcome(f"before {form} after")

        return Kind(act)

    for make in (
        lambda text: Finished(text),
        lambda text: Finished({"deep": [{text: 1}, text]}),
        lambda text: Failed("raised", text),
        lambda text: OutcomeUnknown(text),
    ):
        outcome, _ = run(echo(make), Context(secrets={"s": SECRET}))
        told = str(outcome)
        assert form not in told
        assert "[redacted]" in told
        assert "before " in told
        assert " after" in told
        assert not any(digits in told for digits in core_digits())


@pytest.mark.parametrize("place", range(7960, 8010, 3))
def test_a_message_is_not_cut_in_the_middle_of_a_secret(place: int) -> None:
    def act(call: ToolCall, context: ToolContext) -> Outcome:
        return Failed("http_status", "x" * place + context.secret("s") + "x" * 100)

    outcome, _ = run(Kind(act), Context(secrets={"s": SECRET}))

    assert isinstance(outcome, Failed)
    assert "hunt" not in outcome.message


def test_what_a_kind_cut_off_is_no_part_of_a_secret() -> None:
    def act(call: ToolCall, context: ToolContext) -> Outcome:
        context.secret("s")
        return Finished([f"row {SECRET[:end]}…" for end in range(len(SECRET) + 1)])

    outcome, _ = run(Kind(act), Context(secrets={"s": SECRET}))

    assert isinstance(outcome, Finished)
    assert not any("hunt" in row for row in outcome.result)
    assert outcome.result[-1] == "row [redacted]…"


@pytest.mark.parametrize("secret", ["12345678", "1234.5678"])
def test_a_secret_of_digits_is_not_in_a_number(secret: str) -> None:
    def act(call: ToolCall, context: ToolContext) -> Outcome:
        return Finished({"pin": float(context.secret("s")) if "." in secret else int(context.secret("s")), "n": 1})

    assert run(Kind(act), Context(secrets={"s": secret}))[0] == Finished({"pin": "[redacted]", "n": 1})


def test_a_secret_deep_inside_is_found_or_the_result_refused() -> None:
    def act(call: ToolCall, context: ToolContext) -> Outcome:
        value: Any = context.secret("s")
        for _ in range(900):
            value = [value]
        return Finished(value)

    assert SECRET not in str(run(Kind(act), Context(secrets={"s": SECRET}))[0])


def test_a_secret_is_not_in_the_complaint_about_a_result() -> None:
    def act(call: ToolCall, context: ToolContext) -> Outcome:
        return Finished({"token": context.secret("s")})

    schema = {"properties": {"token": {"const": "x"}}}
    outcome, _ = run(Kind(act), Context(secrets={"s": SECRET}), output_schema=schema)

    assert isinstance(outcome, Failed)
    assert SECRET not in outcome.message


def test_the_password_of_a_data_source_is_a_secret() -> None:
    source = DataSource("postgresql", "postgresql://reader:p%40ssw0rd@db.example/shop")

    def act(call: ToolCall, context: ToolContext) -> Outcome:
        return Finished([context.source("s").url, "p@ssw0rd", "p%40ssw0rd", "reader"])

    outcome, _ = run(Kind(act), Context(sources={"s": source}))

    assert outcome == Finished(["[redacted]", "[redacted]", "[redacted]", "reader"])


def test_a_password_in_the_query_of_a_data_source_is_a_secret_too() -> None:
    source = DataSource("postgresql", "postgresql://reader@db.example/shop?password=p%40ssw0rd")

    def act(call: ToolCall, context: ToolContext) -> Outcome:
        return Finished([context.source("s").url, "p@ssw0rd", repr(context.source("s"))])

    outcome, _ = run(Kind(act), Context(sources={"s": source}))

    assert outcome == Finished(["[redacted]", "[redacted]", "DataSource(engine='postgresql')"])


def test_the_installations_own_secrets_are_not_in_a_result() -> None:
    def act(call: ToolCall, context: ToolContext) -> Outcome:
        return Finished({"environment": {"SECRET_KEY": settings.SECRET_KEY}})

    assert run(Kind(act))[0] == Finished({"environment": {"SECRET_KEY": "[redacted]"}})


def test_a_secret_that_was_not_handed_out_leaves_results_alone() -> None:
    assert run(Kind(gives(Finished(SECRET))), Context(secrets={"s": SECRET}))[0] == Finished(SECRET)


def test_an_echoing_server_does_not_give_a_header_back(tmp_path: Path) -> None:
    with serve(lambda sock, request, nth: sock.sendall(answer(request, "500 X"))) as seen:
        registry = build_registry(client=Client(frozenset({("127.0.0.1", seen.port)})), sources_dir=tmp_path)
        call = call_of("http", {"url": seen.url, "headers": {"Authorization": "Bearer secret:crm"}})
        outcome = perform(call, Context(secrets={"crm": "t0ken-t0ken"}), registry=registry)

    assert b"t0ken-t0ken" in seen.requests[0]
    assert isinstance(outcome, Failed)
    assert "t0ken" not in outcome.message
    assert "Bearer [redacted]" in outcome.message


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

    assert names == {"Finished(result='tool', truncated=False)"}
    assert len(threads) == 1


def test_a_python_tool_that_raises_failed_and_its_traceback_stays_here() -> None:
    def function() -> None:
        raise KeyError("no such key")

    outcome = python(function)

    assert outcome == Failed("raised", "KeyError: 'no such key'")

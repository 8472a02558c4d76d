"""What a call gives back: JSON that can be kept, bounded, and without secrets."""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from django.conf import settings

from agents.core.exact import enclose
from agents.tools.perform import Bounds, perform
from agents.tools.registry import build_registry
from agents.tools.results import MAX_DEPTH, written
from agents.tools.seam import (
    DataSource,
    Failed,
    Finished,
    Outcome,
    OutcomeUnknown,
    ToolCall,
    ToolContext,
)
from egress.client import Client
from tests.agents.tools.contexts import Context, call_of
from tests.agents.tools.performing import SECRET, Kind, gives, result_of, run
from tests.egress.servers import answer, serve

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


@pytest.mark.parametrize("value", ["x" * 300_000, ["\u00e9" * 10] * 30_000])
def test_what_was_cut_is_kept_whole_for_people(value: Any) -> None:
    outcome = result_of(value)

    assert isinstance(outcome, Finished)
    assert json.loads(outcome.whole or "") == value
    assert result_of("x").whole is None  # type: ignore[union-attr]


def test_a_secret_is_not_in_the_whole_either() -> None:
    def act(call: ToolCall, context: ToolContext) -> Outcome:
        return Finished(["x" * 300_000, context.secret("s")])

    outcome, _ = run(Kind(act), Context(secrets={"s": SECRET}))

    assert isinstance(outcome, Finished)
    assert json.loads(outcome.whole or "")[1] == "[redacted]"


def test_the_schema_is_held_against_the_whole() -> None:
    schema = {"type": "array", "items": {"maxLength": 100_000}}

    assert result_of(["x" * 100_000] * 4, output_schema=schema).truncated  # type: ignore[union-attr]
    assert isinstance(result_of(["x" * 100_000] * 4 + ["x" * 100_001], output_schema=schema), Failed)


def test_of_very_many_faults_the_first_are_told() -> None:
    outcome = result_of([1] * 100_000, output_schema={"type": "array", "items": {"type": "string"}})

    assert isinstance(outcome, Failed)
    assert outcome.message.startswith("The tool's result is not as its definition says. /0: ")
    assert len(outcome.message) < 1000


def test_beyond_the_last_bound_a_read_has_failed_and_a_write_is_cut_for_everybody() -> None:
    bounds = Bounds(whole_bytes=1_000_000)

    assert result_of("x" * 999_998, bounds=bounds).whole == json.dumps("x" * 999_998)  # type: ignore[union-attr]
    refused = result_of("x" * 999_999, bounds=bounds)
    told = "The tool's result has 1000001 bytes; at most 1000000 are taken."
    assert refused == Failed("too_large", told)
    made = result_of("x" * 999_999, bounds=bounds, effect="write")
    assert isinstance(made, Finished)
    assert (made.truncated, made.whole, made.result["truncated"]) == (True, None, True)


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

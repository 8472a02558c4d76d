"""Every way in which a call can fail, and the fault it becomes."""

import socket
import threading
import time
from dataclasses import replace

import pytest

from agents.core.model import ModelError, ModelFault, ModelRequest
from agents.providers.claude import ClaudeProvider
from tests.agents.providers.conversations import ask, new_text
from tests.agents.providers.servers import Recorder

PLAIN, STREAMED = 10**9, 1


@pytest.fixture(params=[PLAIN, STREAMED], ids=["plain", "streamed"])
def provider(request: pytest.FixtureRequest, rehearsal_url: str) -> ClaudeProvider:
    return ClaudeProvider("key", rehearsal_url, stream_from=request.param)


def fault_of(provider: ClaudeProvider, sent: ModelRequest, *, timeout_s: float = 10) -> ModelFault:
    with pytest.raises(ModelError) as caught:
        provider.answer(sent, timeout_s=timeout_s)
    return caught.value.fault


def test_a_rate_limit_says_how_long_to_wait_in_each_form(provider: ClaudeProvider) -> None:
    sent = ask(new_text(), system="fault:rate_limited")

    faults = [fault_of(provider, sent) for _ in range(3)]
    answer = provider.answer(sent, timeout_s=10)

    assert {(fault.code, fault.status, fault.retryable, fault.billed) for fault in faults} == {
        ("rate_limited", 429, True, False)
    }
    assert faults[0].retry_after_s == 7
    assert faults[1].retry_after_s == 1.5
    assert faults[2].retry_after_s == pytest.approx(3600, abs=60)
    assert faults[0].request_id
    assert answer.content[0]["text"] == "fine"


@pytest.mark.parametrize(
    ("system", "code", "status", "retryable"),
    [
        ("fault:spend_limit", "spend_limit", 429, False),
        ("fault:overloaded", "overloaded", 529, True),
        ("fault:server_error", "provider_error", 500, True),
    ],
)
def test_an_error_status_becomes_its_fault(
    provider: ClaudeProvider, system: str, code: str, status: int, retryable: bool
) -> None:
    sent = ask(new_text(), system=system)

    fault = fault_of(provider, sent)
    answer = provider.answer(sent, timeout_s=10)

    assert (fault.code, fault.status, fault.retryable, fault.billed) == (code, status, retryable, False)
    assert answer.stop_reason == "tool_use"


def test_each_other_status_becomes_its_fault(provider: ClaudeProvider) -> None:
    sent = ask(new_text(), system="fault:status")

    faults = [fault_of(provider, sent) for _ in range(10)]

    assert [(fault.status, fault.code, fault.retryable, fault.retry_after_s, fault.billed) for fault in faults] == [
        (402, "spend_limit", False, None, False),
        (403, "permission", False, None, False),
        (408, "timeout", True, None, False),
        (409, "provider_error", True, None, False),
        (429, "spend_limit", False, None, False),
        (429, "rate_limited", True, 2.0, False),
        (503, "overloaded", True, 3.0, False),
        (504, "timeout", True, None, True),
        (500, "provider_error", False, None, False),
        (307, "provider_error", False, None, False),
    ]
    assert provider.answer(sent, timeout_s=10).stop_reason == "end_turn"


@pytest.mark.parametrize(
    ("system", "plain", "streamed"),
    [
        ("fault:stream_error", ("overloaded", False), ("overloaded", True)),
        ("fault:cut_stream", ("broken_stream", True), ("broken_stream", True)),
        ("fault:cut_json", ("broken_stream", True), ("broken_stream", True)),
    ],
)
def test_an_answer_that_breaks_after_200_counts_for_nothing(
    provider: ClaudeProvider,
    request: pytest.FixtureRequest,
    system: str,
    plain: tuple[str, bool],
    streamed: tuple[str, bool],
) -> None:
    sent = ask(new_text(), system=system)

    fault = fault_of(provider, sent)
    again = provider.answer(sent, timeout_s=10)

    expected = plain if request.node.callspec.params["provider"] == PLAIN else streamed
    assert (fault.code, fault.billed) == expected
    assert fault.retryable
    assert again.stop_reason == "tool_use"


@pytest.mark.parametrize("system", ["fault:timeout", "fault:stall"])
def test_silence_becomes_a_timeout_that_may_have_been_billed(provider: ClaudeProvider, system: str) -> None:
    sent = ask(new_text(), system=system)

    fault = fault_of(provider, sent, timeout_s=0.5)
    again = provider.answer(sent, timeout_s=10)

    assert (fault.code, fault.retryable, fault.billed) == ("timeout", True, True)
    assert again.stop_reason == "tool_use"


def test_an_unknown_model_a_bad_request_and_no_script_are_told_apart(rehearsal_url: str) -> None:
    provider = ClaudeProvider("key", rehearsal_url)

    no_script = fault_of(provider, ask("nobody answers this"))
    with pytest.raises(ModelError) as unknown:
        provider.answer(replace(ask("x"), model="claude-nobody-9"), timeout_s=10)

    assert (no_script.code, no_script.retryable) == ("invalid_request", False)
    assert "nobody answers this" in no_script.message
    assert unknown.value.fault.code == "model_not_found"


def test_a_missing_key_is_an_authentication_fault(supplier: Recorder) -> None:
    supplier.status = 401
    supplier.body = b'{"type":"error","error":{"type":"authentication_error","message":"invalid x-api-key"}}'

    fault = fault_of(ClaudeProvider("key", supplier.url), ask("x"))

    assert (fault.code, fault.message, fault.retryable) == ("authentication", "invalid x-api-key", False)


def test_a_body_that_is_too_large_is_refused(rehearsal_url: str) -> None:
    fault = fault_of(ClaudeProvider("key", rehearsal_url), ask("x" * (33 * 1024 * 1024)), timeout_s=60)

    assert fault.code == "request_too_large"


def test_a_refused_connection_was_not_billed() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        fault = fault_of(ClaudeProvider("key", f"http://127.0.0.1:{unused.getsockname()[1]}"), ask("x"))

    assert (fault.code, fault.retryable, fault.billed) == ("connection", True, False)


def test_a_redirect_is_not_followed_with_the_key(supplier: Recorder) -> None:
    supplier.status = 307
    supplier.headers["location"] = f"{supplier.url}/elsewhere"

    fault = fault_of(ClaudeProvider("key", supplier.url), ask("x"))

    assert (fault.code, fault.retryable) == ("provider_error", False)
    assert supplier.paths == ["/v1/messages"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>a proxy</html>",
        b"[]",
        b'{"type":"message"}',
        b'{"type":"message","model":"x","content":"text","stop_reason":"end_turn","usage":{"output_tokens":1}}',
        b'{"type":"message","model":"x","content":[1],"stop_reason":"end_turn","usage":{"output_tokens":1}}',
        b'{"type":"message","model":"x","content":[{"type":"text","n":NaN}],"stop_reason":"end_turn","usage":{}}',
        b'{"type":"message","model":"x","content":[],"stop_reason":"end_turn","usage":{"output_tokens":"many"}}',
        b'{"type":"message","model":"x","content":[],"stop_reason":"end_turn","usage":null}',
    ],
)
def test_a_200_without_a_message_is_broken(supplier: Recorder, body: bytes) -> None:
    supplier.body = body

    fault = fault_of(ClaudeProvider("key", supplier.url), ask("x"))

    assert (fault.code, fault.retryable, fault.billed) == ("broken_stream", True, True)


def test_an_error_body_with_status_200_is_an_error(supplier: Recorder) -> None:
    supplier.body = b'{"type":"error","error":{"type":"rate_limit_error","message":"slow down"}}'

    fault = fault_of(ClaudeProvider("key", supplier.url), ask("x"))

    assert (fault.code, fault.message, fault.retryable) == ("rate_limited", "slow down", True)


def test_an_error_page_of_a_proxy_is_understood_by_its_status(supplier: Recorder) -> None:
    supplier.status, supplier.body = 502, b"<html>bad gateway</html>"

    fault = fault_of(ClaudeProvider("key", supplier.url), ask("x"))

    assert (fault.code, fault.retryable, fault.status) == ("provider_error", True, 502)


def test_what_is_no_json_is_refused_before_it_is_sent(supplier: Recorder) -> None:
    bad = ask("x", tools=[{"name": "a", "input_schema": {"type": "object", "n": float("nan")}}])

    with pytest.raises(ModelError) as caught:
        ClaudeProvider("key", supplier.url).answer(bad, timeout_s=10)

    assert caught.value.fault.code == "invalid_request"
    assert supplier.paths == []


def test_a_trickling_answer_ends_at_the_deadline() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def trickle() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n")
                try:
                    for _ in range(200):
                        connection.sendall(b" ")
                        time.sleep(0.05)
                except OSError:
                    return

        thread = threading.Thread(target=trickle)
        thread.start()
        fault = fault_of(ClaudeProvider("key", f"http://127.0.0.1:{server.getsockname()[1]}"), ask("x"), timeout_s=0.5)
        thread.join()

    assert fault.code == "timeout"

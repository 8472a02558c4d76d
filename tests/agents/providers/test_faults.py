"""What error answers mean."""

import pytest

from agents.providers.faults import from_status, from_stream_event, retry_after


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "30"}, 30.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "-5"}, 0.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after-ms": "1500", "retry-after": "30"}, 1.5),
        ({"retry-after-ms": "x", "retry-after": "30"}, 30.0),
        ({"retry-after": "Thu, 01 Jan 1970 00:02:00 GMT"}, 20.0),
        ({"retry-after": "Thu, 01 Jan 1970 00:00:00 GMT"}, 0.0),
    ],
)
def test_the_wait_is_read_in_every_form(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers, now=100.0) == seconds


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 418, 422, 501])
def test_what_a_repetition_cannot_mend_is_not_retryable(status: int) -> None:
    assert not from_status(status, None, {}, now=0).retryable


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504, 520, 529, 599])
def test_what_may_pass_is_retryable(status: int) -> None:
    assert from_status(status, None, {}, now=0).retryable


@pytest.mark.parametrize("code", ["enforced_spend_limit_reached", "contract_spend_limit_reached"])
def test_a_spend_limit_is_never_retried_whatever_the_headers_say(code: str) -> None:
    body = {"error": {"type": "rate_limit_error", "message": "no", "details": {"error_code": code}}}

    fault = from_status(429, body, {"retry-after": "1", "x-should-retry": "true"}, now=0)

    assert (fault.code, fault.retryable, fault.retry_after_s) == ("spend_limit", False, None)


@pytest.mark.parametrize("body", [None, "text", [], {"error": "text"}, {"error": {"message": 5, "details": "x"}}])
def test_a_body_of_any_shape_gets_a_message(body: object) -> None:
    assert from_status(500, body, {}, now=0).message == "The provider answered with status 500."


def test_a_long_message_is_cut() -> None:
    assert len(from_status(500, {"error": {"message": "x" * 10_000}}, {}, now=0).message) == 2_000


@pytest.mark.parametrize(
    ("kind", "code", "retryable"),
    [
        ("overloaded_error", "overloaded", True),
        ("api_error", "provider_error", True),
        ("rate_limit_error", "rate_limited", True),
        ("timeout_error", "timeout", True),
        ("invalid_request_error", "invalid_request", False),
        ("billing_error", "spend_limit", False),
        ("an_error_from_the_future", "provider_error", True),
    ],
)
def test_an_error_inside_a_stream_was_billed(kind: str, code: str, retryable: bool) -> None:
    fault = from_stream_event({"type": "error", "error": {"type": kind, "message": "m"}})

    assert (fault.code, fault.retryable, fault.billed) == (code, retryable, True)

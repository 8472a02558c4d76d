"""What an error answer of the Messages API means to us, whatever library carried it.

Source: the error codes and classes of the `anthropic` SDK 2.x (`_error_classes.py`, `types/shared/error_type.py`).
"""

import email.utils
from collections.abc import Mapping

from agents.core.model import Json, ModelFault
from config.redaction import hide

MESSAGE_LIMIT = 2_000

# status -> (our code, retryable, billed). An error answer is not charged; 504 means that the gateway lost sight of a
# call that may have run.
_BY_STATUS: Mapping[int, tuple[str, bool, bool]] = {
    400: ("invalid_request", False, False),
    401: ("authentication", False, False),
    402: ("spend_limit", False, False),
    403: ("permission", False, False),
    404: ("model_not_found", False, False),
    405: ("invalid_request", False, False),
    408: ("timeout", True, False),
    409: ("provider_error", True, False),
    413: ("request_too_large", False, False),
    422: ("invalid_request", False, False),
    429: ("rate_limited", True, False),
    431: ("request_too_large", False, False),
    499: ("connection", True, True),
    500: ("provider_error", True, False),
    501: ("provider_error", False, False),
    502: ("provider_error", True, False),
    503: ("overloaded", True, False),
    504: ("timeout", True, True),
    529: ("overloaded", True, False),
}

# An error inside a stream has no status of its own: its type says what it would have been.
_STATUS_OF_TYPE: Mapping[str, int] = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}


def from_status(
    status: int, body: Json, headers: Mapping[str, str], *, now: float, request_id: str | None = None
) -> ModelFault:
    """Say what an error answer means.

    body: the decoded JSON, or anything else when it was none. now: seconds since the epoch, for a dated `retry-after`.
    """
    error = _error(body)
    code, retryable, billed = _BY_STATUS.get(status, _unknown(status))
    if _is_spend_limit(error):
        code, retryable = "spend_limit", False
    elif (hint := headers.get("x-should-retry")) in ("true", "false"):
        retryable = hint == "true"
    return ModelFault(
        code=code,
        message=_message(error, f"The provider answered with status {status}."),
        retryable=retryable,
        status=status,
        retry_after_s=retry_after(headers, now=now) if retryable else None,
        request_id=request_id,
        billed=billed,
    )


def from_stream_event(body: Json, *, request_id: str | None = None) -> ModelFault:
    """Say what an `error` event after status 200 means: the model had begun, so the call may be charged."""
    error = _error(body)
    status = _STATUS_OF_TYPE.get(str(error.get("type")), 500)
    code, retryable, _ = _BY_STATUS[status]
    if _is_spend_limit(error):
        code, retryable = "spend_limit", False
    message = _message(error, "The provider reported an error inside the stream.")
    return ModelFault(code, message, retryable, status=status, request_id=request_id, billed=True)


def retry_after(headers: Mapping[str, str], *, now: float) -> float | None:
    """Return how many seconds the supplier asks to wait, or None if it does not say.

    `retry-after-ms` (milliseconds) goes before `retry-after` (seconds or an HTTP date), as in the SDK.
    """
    for name, unit_s in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            seconds = float(headers[name]) * unit_s
        except (KeyError, ValueError):
            continue
        return max(0.0, seconds) if seconds < float("inf") else None
    parsed = email.utils.parsedate_tz(headers.get("retry-after"))
    return None if parsed is None else max(0.0, email.utils.mktime_tz(parsed) - now)


def _error(body: Json) -> Mapping[str, Json]:
    error = body.get("error") if isinstance(body, dict) else None
    return error if isinstance(error, dict) else {}


def _is_spend_limit(error: Mapping[str, Json]) -> bool:
    details = error.get("details")
    code = details.get("error_code") if isinstance(details, dict) else None
    # enforced_, contract_ and linked_organization_: limits that no waiting of ours lifts.
    return error.get("type") == "billing_error" or (isinstance(code, str) and code.endswith("spend_limit_reached"))


def _message(error: Mapping[str, Json], fallback: str) -> str:
    message = error.get("message")
    # A gateway may repeat the key that it refuses, and the message goes into the journal.
    return hide(message)[:MESSAGE_LIMIT] if isinstance(message, str) and message else fallback


def _unknown(status: int) -> tuple[str, bool, bool]:
    if status >= 500:
        return ("provider_error", True, False)
    return ("invalid_request", False, False) if status >= 400 else ("provider_error", False, False)

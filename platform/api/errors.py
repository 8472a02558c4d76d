"""Errors of the interface itself: what is wrong with a request before any action sees it."""

from collections.abc import Sequence
from dataclasses import dataclass

from db.errors import Refusal


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with a request. pointer: JSON pointer (RFC 6901) into the body, or `/query/NAME`."""

    pointer: str
    detail: str


class ApiError(Refusal):
    """The request cannot be answered."""

    code = "bad_request"
    status = 400

    def __init__(self, detail: str | None = None, faults: Sequence[Fault] = ()) -> None:
        super().__init__(detail)
        self.errors = [{"pointer": fault.pointer, "detail": fault.detail} for fault in faults]


class NotFound(ApiError):
    """There is no such thing here, or it is not yours to see."""

    code = "not_found"
    status = 404


class NoKey(ApiError):
    """Send an API key: `Authorization: Bearer cs_…`."""

    code = "no_key"
    status = 401


class MalformedJson(ApiError):
    """The body is not JSON."""

    code = "malformed_json"


class BodyTooLarge(ApiError):
    """The body is larger than this installation accepts."""

    code = "body_too_large"
    status = 413


class BodyTooSlow(ApiError):
    """The body took too long to arrive."""

    code = "body_too_slow"
    status = 408
    retryable = True


class Overloaded(ApiError):
    """The installation is overloaded; try again."""

    code = "unavailable"
    status = 503
    retryable = True


class WrongMediaType(ApiError):
    """Send the body as `Content-Type: application/json`."""

    code = "unsupported_media_type"
    status = 415


class InvalidBody(ApiError):
    """The body is JSON, but not what this call takes; `errors` says where."""

    code = "invalid_body"
    status = 422


class InvalidQuery(ApiError):
    """A query parameter is not what this call takes; `errors` says which."""

    code = "invalid_query"
    status = 422


class BadCursor(ApiError):
    """The cursor is not one that this list gave out; start again without it."""

    code = "bad_cursor"


class BadHeader(ApiError):
    """A header is not what this call takes."""

    code = "bad_header"


class PreconditionMissing(ApiError):
    """Name what you are replacing: `If-Match` with the ETag you read, or `If-None-Match: *` to create."""

    code = "precondition_required"
    status = 428


class PreconditionFailed(ApiError):
    """It has changed since you read it; read it again and repeat your change on that."""

    code = "precondition_failed"
    status = 412

"""Error answers in the Messages API's form (`ErrorResponse` of the `anthropic` SDK 2.x)."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from agents.core.model import JsonObject


@dataclass
class Rejected(Exception):
    """The request gets an error answer."""

    status: int
    type: str
    message: str
    error_code: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def body(self, request_id: str) -> JsonObject:
        """Return the answer's body."""
        error: JsonObject = {"type": self.type, "message": self.message}
        if self.error_code is not None:
            error["details"] = {"error_code": self.error_code}
        return {"type": "error", "error": error, "request_id": request_id}


def invalid(message: str) -> Rejected:
    """The request breaks a rule; message: path and reason, in the API's manner."""
    return Rejected(400, "invalid_request_error", message)


def missing(path: str) -> Rejected:
    """A required field is not there."""
    return invalid(f"{path}: Field required")


def extra(path: str) -> Rejected:
    """A field the API does not know."""
    return invalid(f"{path}: Extra inputs are not permitted")

"""The journal's tables."""

from audit.models.payload import Payload
from audit.models.record import Record

__all__ = ["Payload", "Record"]

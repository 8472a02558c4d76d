"""Why a log is not sealed. Appending goes on; what waits is sealed once the cause is mended."""

from typing import ClassVar

from db.errors import Refusal


class LogRefused(Refusal):
    """The log cannot be sealed."""

    code: ClassVar[str] = "log_refused"
    status: ClassVar[int] = 503


class Forked(LogRefused):
    """The database and the copy of the log's last checkpoint tell of different trees."""

    code = "log_forked"


class CopyMissing(LogRefused):
    """The copy of the log's last checkpoint is missing."""

    code = "log_copy_missing"


class NoKeys(LogRefused):
    """AUDIT_SIGNING_KEYS is empty, so nothing can be signed."""

    code = "no_signing_keys"

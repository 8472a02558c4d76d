"""Errors of notices."""

from db.errors import Refusal


class NoticeError(Refusal):
    """The notices are not as asked for."""

    code = "notices"


class NoMailbox(NoticeError):
    """A service account has no mailbox; use the key of a member."""

    code = "no_mailbox"
    status = 403


class UnknownTimeZone(NoticeError):
    """There is no such time zone; name one of the IANA database, such as Europe/Berlin or UTC."""

    code = "unknown_time_zone"

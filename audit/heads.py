"""Heads read from the database, before they are shown or signed again: who may write there may not hold the keys."""

from collections.abc import Sequence

from audit.log import note
from audit.log.note import BadNote, NoteRefused, VerifierKey
from audit.stored import BrokenLog, Signed, StoredLog


class UnknownKeys(BrokenLog):
    """None of the keys signed the checkpoint."""


def check(log: StoredLog, signed: Signed, keys: Sequence[VerifierKey]) -> None:
    """Raise `BrokenLog` unless one of the log's keys signed this head, and it is that of the log's tree.

    Of those keys that are named like the log alone. To be called in the log's scope.
    """
    head = signed.head
    try:
        note.opened(signed.note, [key for key in keys if key.name == log.origin])
    except (BadNote, NoteRefused) as error:
        raise UnknownKeys(
            f"The checkpoint of {head.size} leaves of {log.origin} is signed by none of the keys of "
            f"AUDIT_SIGNING_KEYS: somebody changed it, or the key that signed it was taken away since. {error}"
        ) from error
    if head.origin != log.origin:
        raise BrokenLog(f"A checkpoint of {head.origin} stands in for one of {log.origin}.")
    if log.root(head.size) != head.root:
        raise BrokenLog(f"{log.origin} is not what was signed when it had {head.size} leaves.")

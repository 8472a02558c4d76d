"""Who signs: the keys of AUDIT_SIGNING_KEYS, which are never in the database."""

from collections.abc import Sequence

from django.conf import settings

from audit.log.note import Signer, VerifierKey
from audit.sealer.errors import NoKeys


def signers(origin: str, seeds: Sequence[bytes] | None = None) -> list[Signer]:
    """Return a signer for each key, newest first; each is named by the log's origin (tlog-checkpoint, "Signatures").

    All of them sign, so that whoever holds the verifier key of any of them can follow a rotation. Raises `NoKeys`.
    """
    found = [Signer(origin, seed) for seed in (settings.AUDIT_SIGNING_KEYS if seeds is None else seeds)]
    if not found:
        raise NoKeys
    return found


def verifiers(origin: str, seeds: Sequence[bytes] | None = None) -> list[VerifierKey]:
    """Return the verifier keys of a log, newest first."""
    return [signer.key for signer in signers(origin, seeds)]

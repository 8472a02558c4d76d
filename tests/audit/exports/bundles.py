"""Bundles of a log of the tests' own, and what its verifier says."""

from pathlib import Path

from audit.exports import bundle
from audit.exports.period import Period, of_time
from audit.log.note import Signer, VerifierKey
from audit.verify import manifest
from audit.verify.bundle import Report, verify
from audit.verify.files import Folder
from audit.verify.manifest import Manifest
from db.scope import tenant_scope
from tests.audit.sealer import logs
from tests.audit.sealer.conftest import SEED
from tests.worlds import World


def key_of(acme: World) -> VerifierKey:
    """Return the log's key."""
    return signer_of(acme).key


def signer_of(acme: World) -> Signer:
    """Return the log's signer."""
    with tenant_scope(acme.tenant_id):
        return Signer(logs.log_of(acme).origin, SEED)


def export(
    acme: World, folder: Path, *, first: int | None = None, end: int | None = None, payloads: bool = True
) -> Manifest:
    """Export the whole log, or the leaves from the checkpoint at or before `first` to before `end`."""
    with tenant_scope(acme.tenant_id):
        log = logs.log_of(acme)
        period = of_time(log)
        if first is not None:
            before = log.signed(at_most=first)
            start = before.head.size if before else 0
            period = Period(period.head, before if start else None, start, period.end if end is None else end)
        bundle.write(folder, log, period, signers=[signer_of(acme)], payloads=payloads)
    return Manifest.parse((folder / manifest.NAME).read_bytes())


def verified(acme: World, folder: Path, *, held: bytes | None = None) -> Report:
    """Verify with the log's key."""
    return verify(Folder(folder), keys=[key_of(acme)], held=held)

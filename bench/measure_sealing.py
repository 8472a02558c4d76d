"""The log: records a second from the outbox into signed leaves, out into a bundle, and through the verifier.

The records are loaded as the engine appends them, two a statement, so that only what is measured goes through one core:
the sealer's process and the server's take turns.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import installation
from common import cpu_seconds

RECORDS = 100_000


def main() -> None:
    """Measure and print JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--dsn", required=True)
    parser.add_argument("--records", type=int, default=RECORDS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as data_dir:
        installation.boot(options.dsn, data_dir)
        print(json.dumps(measured(options.records, Path(data_dir))))


def measured(records: int, folder: Path) -> dict[str, float]:
    """Records each second, of the wall and of this process's CPU."""
    from audit.exports import bundle
    from audit.exports.period import of_time
    from audit.sealer import keys
    from audit.sealer.loop import sealer
    from audit.stored import StoredLog
    from audit.verify.bundle import verify
    from audit.verify.files import Folder
    from db import session
    from db.scope import tenant_scope
    from tenants.actions import tenants
    from tenants.principal import COMMAND

    tenant_id = tenants.create(slug="sealed", acting_as=COMMAND).id
    load(tenant_id, records)
    with session.connect() as connection:
        sealing = sealer(connection)

        def seal() -> None:
            while sealing.seal(tenant_id):
                pass

        found = timed("sealed", records, seal)
    with tenant_scope(tenant_id):
        log = StoredLog.of(tenant_id)
        assert log is not None
        signers = keys.signers(log.origin)
        period = of_time(log)

        def export() -> None:
            bundle.write(folder / "bundle", log, period, signers=signers)

        found |= timed("exported", records, export)

    def verified() -> None:
        report = verify(Folder(folder / "bundle"), keys=[signer.key for signer in signers])
        assert not report.problems, report.problems

    return {"records": records, **found, **timed("verified", records, verified)}


def load(tenant_id: object, records: int) -> None:
    """Append what a run's steps append."""
    from audit import journal
    from audit.journal import Entry
    from db.models import new_id
    from db.scope import tenant_scope

    facts = {"turn": 1, "call": 1, "call_id": "toolu_0123456789", "tool": "lookup", "version": 3, "digest": "a" * 64}
    asked = {"turn": 2, "model": "claude-opus-4-7", "digest": "b" * 64}
    for start in range(0, records, 2000):
        with tenant_scope(tenant_id):  # type: ignore[arg-type]
            for number in range(start, min(records, start + 2000), 2):
                finished = Entry("tool.finished", "engine", facts, payload={"result": {"n": number}})
                journal.append_at(new_id(), 0, [finished, Entry("model.requested", "engine", asked)])


def timed(name: str, records: int, work: Callable[[], None]) -> dict[str, float]:
    """Do it, and say how many records it did a second."""
    begun, cpu = time.perf_counter(), cpu_seconds()
    work()
    took = time.perf_counter() - begun
    return {f"{name}_per_s": records / took, f"{name}_per_cpu_s": records / (cpu_seconds() - cpu)}


if __name__ == "__main__":
    main()

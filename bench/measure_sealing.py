"""The log: records a second from the outbox into signed leaves, out into a bundle, and through the verifier.

The records are loaded as the engine appends them, two a statement, so that only what is measured goes through one core:
the sealer's process and the server's take turns.
"""

import argparse
import json
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import installation
from common import cpu_seconds

RECORDS = 100_000
LAG_S, LAG_RATE, LAG_BATCH, POLL_S = 20.0, 1000, 10, 1.0

#: Of the newest records: how long after each its checkpoint was signed.
LAGS = """
SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY lag), percentile_cont(0.99) WITHIN GROUP (ORDER BY lag), count(lag)
FROM (
    SELECT extract(epoch FROM c.at - r.at)::float AS lag
    FROM (SELECT * FROM audit_leaf WHERE tenant_id = %s ORDER BY index DESC LIMIT %s) AS l
    JOIN audit_record r ON r.tenant_id = l.tenant_id AND r.id = l.record_id
    CROSS JOIN LATERAL (SELECT at FROM audit_checkpoint c WHERE c.tenant_id = l.tenant_id
        AND c.generation = l.generation AND c.size > l.index ORDER BY size LIMIT 1) AS c) AS lags
"""


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
    """Records each second of the wall, and CPU seconds of this process for 100,000 of them."""
    from audit.exports import bundle, rows
    from audit.exports.period import of_time, span
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
        for form in rows.FORMATS:

            def written(form: str = form) -> None:
                with (folder / form).open("w") as file:
                    file.writelines(rows.lines(span(), form, payloads=True))

            found |= timed(f"exported_{form}", records, written)

    def verified() -> None:
        report = verify(Folder(folder / "bundle"), keys=[signer.key for signer in signers])
        assert not report.problems, report.problems

    found |= timed("verified", records, verified)
    return {"records": records, **found, **lag(tenant_id)}


def lag(tenant_id: UUID) -> dict[str, float]:
    """Seconds from a record to the checkpoint that has it, at a steady `LAG_RATE` records a second for `LAG_S`.

    The sealer is the product's own, with its pauses; the times are the database's.
    """
    from django.db import connection

    from audit import journal
    from audit.journal import Entry
    from audit.sealer.loop import keep_sealing
    from db.models import new_id
    from db.scope import tenant_scope

    ended = threading.Event()
    sealing = threading.Thread(target=keep_sealing, args=(ended,))
    sealing.start()
    begun, done = time.perf_counter(), 0
    while time.perf_counter() - begun < LAG_S:
        due = int((time.perf_counter() - begun) * LAG_RATE)
        while done < due:
            with tenant_scope(tenant_id):
                entries = [Entry("tool.finished", "engine", {"n": done}, payload={"result": done})] * LAG_BATCH
                journal.append_at(new_id(), 0, entries)
            done += LAG_BATCH
        time.sleep(0.01)
    time.sleep(3 * POLL_S)
    ended.set()
    sealing.join()
    with tenant_scope(tenant_id), connection.cursor() as cursor:
        cursor.execute(LAGS, [tenant_id, done])
        p50, p99, count = cursor.fetchone()
    connection.close()
    return {"lag_p50_s": p50, "lag_p99_s": p99, "lag_records": float(count), "lag_rate": done / LAG_S}


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
    return {f"{name}_per_s": records / took, f"{name}_cpu_s_100k": 1e5 * (cpu_seconds() - cpu) / records}


if __name__ == "__main__":
    main()

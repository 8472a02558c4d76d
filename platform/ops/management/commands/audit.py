"""`audit`: export a log as a bundle that strangers verify, tell its keys and a run's story, see what is kept."""

import hashlib
import json
import time
from argparse import ArgumentParser
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from agents.models import Run
from audit import search
from audit.exports import bundle, rows
from audit.exports.errors import FolderNotEmpty, NothingSealed
from audit.exports.period import Span, of_time, span
from audit.sealer import keys
from audit.sealer.errors import LogRefused
from audit.sealer.loop import sealer
from audit.stored import BrokenLog, StoredLog
from db import roles, session
from db.errors import Refusal
from db.scope import tenant_scope
from escalations.stories import story_of
from ops import keeping
from tenants.actions.tenants import log_named
from tenants.principal import COMMAND

#: Seconds to wait for another process that is sealing this log.
PATIENCE_S: Final = 30.0


class Command(BaseCommand):
    help = "Exports the audit log, and looks at what is kept and how long."

    def add_arguments(self, parser: ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        export = verbs.add_parser("export", help="write a bundle that strangers can verify")
        export.add_argument("--tenant", required=True, help="the tenant's slug, or platform")
        export.add_argument("--from", dest="since", help="the first day, or a time: 2026-11-01, 2026-11-01T12:00:00Z")
        export.add_argument("--to", dest="until", help="the last day, or the time before which")
        export.add_argument("--out", required=True, type=Path, help="a folder that does not exist or is empty")
        export.add_argument("--format", choices=["bundle", *rows.FORMATS], default="bundle", help="default: bundle")
        export.add_argument("--without-payloads", action="store_true", help="leave out what concerns people")
        keeping.add_verbs(verbs)

        vkey = verbs.add_parser("vkey", help="print a log's verifier keys, newest first, for auditors to pin")
        vkey.add_argument("--tenant", required=True, help="the tenant's slug, or platform")

        story = verbs.add_parser("story", help="tell a run from its submission to its effect, as JSON")
        story.add_argument("--tenant", required=True, help="the tenant's slug")
        story.add_argument("run", type=UUID, help="the run's id")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            tenant_id = log_named(options["tenant"])
            match options["verb"]:
                case "export":
                    self.export_period(tenant_id, options)
                case "vkey":
                    self.verifier_keys(tenant_id)
                case "story":
                    self.story(tenant_id, options["run"])
                case verb:
                    keeping.handle(verb, tenant_id, options, self.stdout)
        except (Refusal, BrokenLog, OSError) as error:
            raise CommandError(str(error)) from error

    def export_period(self, tenant_id: UUID, options: dict[str, Any]) -> None:
        """Write what the options say, as a bundle or as rows."""
        since, until = _moment(options["since"], 0), _moment(options["until"], 1)
        out, payloads = options["out"], not options["without_payloads"]
        if options["format"] == "bundle":
            self.export(tenant_id, since, until, out, payloads)
        else:
            self.export_rows(tenant_id, span(since=since, until=until), options["format"], out, payloads)

    def export(
        self, tenant_id: UUID, since: datetime | None, until: datetime | None, out: Path, payloads: bool
    ) -> None:
        """Write the bundle of what is sealed by now. One record says that it was exported."""
        seal_waiting(tenant_id)
        with tenant_scope(tenant_id):
            log = StoredLog.of(tenant_id)
            if log is None:
                raise NothingSealed
            period = of_time(log, since=since, until=until)
            made = bundle.write(out, log, period, signers=keys.signers(log.origin), payloads=payloads)
            facts = {"from": made.first, "to": made.end, "size": made.size, "payloads": payloads, "format": "bundle"}
            search.leave_export_record(actor=COMMAND, facts=facts)
        self.stdout.write(f"{made.end - made.first} leaves of {log.origin}, of {made.size}, are in {out}")

    def verifier_keys(self, tenant_id: UUID) -> None:
        """Print a verifier key a line, as `--key` of the verifier takes them; beside them, on stderr, fingerprints.

        Whoever compares a key by telephone compares the SHA-256 of its 32 bytes, which is the same for all logs.
        """
        with tenant_scope(tenant_id):
            log = StoredLog.of(tenant_id)
        if log is None:
            raise NothingSealed
        for key in keys.verifiers(log.origin):
            self.stdout.write(key.text)
            self.stderr.write(
                f"{key.key_id.hex()}  SHA-256 of the public key: {hashlib.sha256(key.public).hexdigest()}"
            )

    def story(self, tenant_id: UUID, run_id: UUID) -> None:
        """Print the story of a run, a page a line. Leaves a record that it was read."""
        with tenant_scope(tenant_id):
            run = Run.objects.select_related("agent", "version").filter(id=run_id).first()
            if run is None:
                raise CommandError("There is no such run in this tenant.")
            after: int | None = 0
            while after is not None:
                told = story_of(run, after=after, payloads=True)
                self.stdout.write(json.dumps(told, ensure_ascii=False))
                after = told["next"]
            search.leave_record(actor=COMMAND, facts={"story": str(run.id), "first": True})

    def export_rows(self, tenant_id: UUID, of: Span, form: str, out: Path, payloads: bool) -> None:
        """Write records as rows, into a folder like the bundle's. One record says that they were exported."""
        if out.exists() and any(out.iterdir()):
            raise FolderNotEmpty
        out.mkdir(parents=True, exist_ok=True)
        path = out / f"records.{form}"
        with tenant_scope(tenant_id), path.open("w", encoding="utf-8", newline="") as file:
            for part in rows.lines(of, form, payloads=payloads):
                file.write(part)
            search.leave_export_record(actor=COMMAND, facts={"payloads": payloads, "format": form})
        self.stdout.write(f"the records are in {path}")


def seal_waiting(tenant_id: UUID) -> None:
    """See to it that what was recorded before this moment is sealed. Raises `LogRefused`."""
    begun = datetime.now(UTC)
    until = time.monotonic() + PATIENCE_S
    with session.connect() as raw:
        sealing = sealer(raw)
        while True:
            sealing.seal(tenant_id)
            if not _waits(tenant_id, begun):
                return
            if time.monotonic() > until:
                raise LogRefused("Records wait for another process to seal them, and it does not get on.")
            time.sleep(0.1)


def _waits(tenant_id: UUID, before: datetime) -> bool:
    """Say whether a record that was made before that moment is in no leaf under a checkpoint."""
    with roles.seal(), connection.cursor() as cursor:
        cursor.execute(_WAITS, {"tenant": tenant_id, "before": UUID(int=int(before.timestamp() * 1000) << 80)})
        return bool(cursor.fetchone()[0])


_WAITS: Final = """
SELECT EXISTS (SELECT FROM audit_outbox WHERE tenant_id = %(tenant)s AND record_ids[1] < %(before)s)
    OR EXISTS (SELECT FROM audit_outbox_aside WHERE tenant_id = %(tenant)s) OR EXISTS (
    SELECT FROM (SELECT max(generation) AS generation FROM audit_log WHERE tenant_id = %(tenant)s) AS log
    WHERE coalesce((SELECT max(index) + 1 FROM audit_leaf l WHERE l.tenant_id = %(tenant)s
                    AND l.generation = log.generation), 0)
        > coalesce((SELECT max(size) FROM audit_checkpoint c WHERE c.tenant_id = %(tenant)s
                    AND c.generation = log.generation), 0))
"""


def _moment(text: str | None, days: int) -> datetime | None:
    """Read a day in UTC, plus `days`, or a time with its zone."""
    if text is None:
        return None
    try:
        if len(text) == len("2026-11-01"):
            day = date.fromisoformat(text)
            return datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=days)
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise CommandError(f"{text!r} is no day (2026-11-01) and no time (2026-11-01T12:00:00Z).") from error
    if at.utcoffset() is None:
        raise CommandError(f"{text!r} says no time zone: end it with Z for UTC.")
    return at

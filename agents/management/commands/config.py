"""`config plan|apply|export`: a tenant's agents and tools as YAML."""

import sys
from argparse import ArgumentParser
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from agents.config import applying
from agents.config.applying import Applied
from agents.config.errors import ConfigError
from agents.config.reading import Text, read
from db.scope import tenant_scope
from tenants.actions import tenants
from tenants.errors import TenantError
from tenants.models import Tenant
from tenants.principal import COMMAND

#: What `plan` exits with when applying would change something.
CHANGES = 2


class Command(BaseCommand):
    help = "Keeps a tenant's data sources, queues, tools and agents in YAML files."

    def add_arguments(self, parser: ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        for verb, words in (
            ("plan", "say what apply would change; exit 0 when nothing, 2 when something, 1 on errors"),
            ("apply", "make the tenant what the files say, all or nothing"),
            ("export", "write everything as YAML, to the file if one is given"),
        ):
            command = verbs.add_parser(verb, help=words)
            # Checked below: a usage error's exit code is 2, which says "changes" here.
            command.add_argument("--tenant", metavar="SLUG", default="")
            command.add_argument("files", nargs="*", metavar="FILE", help="- is standard input")
            if verb != "export":
                command.add_argument("--publish", action="store_true", help="let agents go live, not only be drafts")
                words = "refuse what policies or conditions of grants would no longer fit, rather than warn of it"
                command.add_argument("--strict", action="store_true", help=words)

    def handle(self, *args: Any, verb: str, tenant: str, files: Sequence[str], **options: Any) -> None:
        if not tenant:
            raise CommandError("Name the tenant with --tenant SLUG.")
        try:
            found = tenants.by_slug(tenant)
            if verb == "export":
                self._export(found, files)
            else:
                self._apply(found, files, options, only_plan=verb == "plan")
        except (TenantError, ConfigError) as error:
            raise CommandError(str(error)) from error

    def _export(self, tenant: Tenant, files: Sequence[str]) -> None:
        if len(files) > 1:
            raise CommandError("Export writes one file.")
        with tenant_scope(tenant.id):
            text = applying.export(acting_as=COMMAND)
        if files and files[0] != "-":
            Path(files[0]).write_text(text, encoding="utf-8")
        else:
            self.stdout.write(text, ending="")

    def _apply(self, tenant: Tenant, files: Sequence[str], options: Mapping[str, Any], *, only_plan: bool) -> None:
        if not files:
            raise CommandError("Name at least one file.")
        texts = [text for name in files for text in _read(name)]
        do = applying.plan if only_plan else applying.apply
        with tenant_scope(tenant.id):
            applied = do(texts, publish=options["publish"], strict=options["strict"], acting_as=COMMAND)
        self._tell(applied, "to apply" if only_plan else "applied")
        if only_plan and applied.changes:
            sys.exit(CHANGES)

    def _tell(self, applied: Applied, done: str) -> None:
        for change in applied.changes:
            self.stdout.write(f"{change}\n")
        for warning in applied.warnings:
            self.stderr.write(f"warning: {warning}")
        count = len(applied.changes)
        self.stdout.write(f"{count} {'change' if count == 1 else 'changes'} {done}." if count else "No change.")


def _read(name: str) -> list[Text]:
    try:
        text = sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{name} cannot be read: {error}") from error
    return list(read(text, "standard input" if name == "-" else name))

"""`secret set`: the value comes by standard input, so that it is in no shell history and no list of processes."""

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from db.scope import tenant_scope
from tenants.actions import tenants
from tenants.errors import TenantError
from tenants.principal import COMMAND
from vault.actions import secrets
from vault.errors import VaultError


class Command(BaseCommand):
    help = "Keeps a tenant's secrets."

    def add_arguments(self, parser: ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        set_ = verbs.add_parser("set", help="keep a secret, in place of any former one of that name")
        set_.add_argument("slug")
        set_.add_argument("name")
        set_.add_argument("--stdin", action="store_true", required=True, help="read the value from standard input")

    def handle(self, *args: Any, slug: str, name: str, **options: Any) -> None:
        # One newline at the end is the shell's, not the secret's.
        value = sys.stdin.read().removesuffix("\n").removesuffix("\r")
        try:
            with tenant_scope(tenants.by_slug(slug).id):
                secrets.put(name, value, acting_as=COMMAND)
        except (TenantError, VaultError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"secret {name} of {slug} set")

"""`apikey create`: the key is printed once, alone on standard output."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from tenants.actions import api_keys, tenants
from tenants.errors import TenantError
from tenants.principal import COMMAND


class Command(BaseCommand):
    help = "Makes API keys."

    def add_arguments(self, parser: ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        create = verbs.add_parser("create", help="make a key and print it once")
        create.add_argument("slug")
        create.add_argument("--name", required=True)
        create.add_argument("--scopes", required=True, help="comma-separated, e.g. runs:write,runs:read")
        create.add_argument("--as", dest="email", help="the member it acts as; otherwise a service account is made")

    def handle(self, *args: Any, slug: str, name: str, scopes: str, email: str | None, **options: Any) -> None:
        wanted = [scope.strip() for scope in scopes.split(",") if scope.strip()]
        try:
            tenant = tenants.by_slug(slug)
            _, text = api_keys.create(tenant=tenant, name=name, scopes=wanted, member_email=email, acting_as=COMMAND)
        except TenantError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(text)

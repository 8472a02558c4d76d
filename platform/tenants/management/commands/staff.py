"""`staff …`: who of the platform's staff may look into a tenant, for how long and why."""

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from tenants.actions import staff, tenants
from tenants.errors import TenantError
from tenants.models import User
from tenants.principal import COMMAND


class Command(BaseCommand):
    help = "Makes platform staff, and opens a tenant to one of them for a few hours (break-glass)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        add = verbs.add_parser("add", help="make somebody staff, or set their password")
        add.add_argument("email")
        add.add_argument("--password-stdin", action="store_true", help="read the password from standard input")
        verbs.add_parser("remove", help="take somebody off the staff, and close what is open").add_argument("email")
        verbs.add_parser("list", help="list the staff")
        opening = verbs.add_parser("open", help="let one of the staff read a tenant; it is told in its journal")
        opening.add_argument("slug", help="the tenant's slug")
        opening.add_argument("email", help="the address of one of the staff")
        opening.add_argument("--hours", type=int, default=1, help=f"1 to {staff.MAX_HOURS}")
        opening.add_argument(
            "--reason-stdin",
            action="store_true",
            required=True,
            help="read the reason (10 to 2000 characters) from stdin",
        )
        close = verbs.add_parser("close", help="end that before its time")
        close.add_argument("slug")
        close.add_argument("email")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            getattr(self, options["verb"])(**options)
        except TenantError as error:
            raise CommandError(str(error)) from error

    def add(self, *, email: str, password_stdin: bool, **_: Any) -> None:
        # One line end is the shell's; anything more is the password's own.
        password = sys.stdin.read().removesuffix("\n").removesuffix("\r") if password_stdin else None
        user = staff.add(email=email, password=password, acting_as=COMMAND)
        self.stdout.write(f"{user.email} is platform staff")

    def remove(self, *, email: str, **_: Any) -> None:
        staff.remove(email=email, acting_as=COMMAND)
        self.stdout.write(f"{email} is platform staff no more")

    def list(self, **_: Any) -> None:
        for user in User.objects.filter(is_staff=True).order_by("email"):
            self.stdout.write(user.email)

    def open(self, *, slug: str, email: str, hours: int, **_: Any) -> None:
        access = staff.open_access(
            tenants.by_slug(slug), email=email, reason=sys.stdin.read(), hours=hours, acting_as=COMMAND
        )
        self.stdout.write(f"{email} may read {slug} until {access.expires_at:%Y-%m-%d %H:%M} UTC")

    def close(self, *, slug: str, email: str, **_: Any) -> None:
        staff.close_access(tenants.by_slug(slug), email=email, acting_as=COMMAND)
        self.stdout.write(f"{email} may read {slug} no more")

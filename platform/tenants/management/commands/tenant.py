"""`tenant create`, `tenant member`, `tenant team` and `tenant mfa`."""

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from tenants.actions import members, teams, tenants
from tenants.errors import TenantError
from tenants.models import Role
from tenants.principal import COMMAND


class Command(BaseCommand):
    help = "Makes tenants and members."

    def add_arguments(self, parser: ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        create = verbs.add_parser("create", help="make a tenant")
        create.add_argument("slug")
        create.add_argument("--name", default="")
        member = verbs.add_parser("member", help="add a member, or change a member's role or password")
        member.add_argument("slug")
        member.add_argument("email")
        member.add_argument("--role", required=True, choices=Role.values)
        member.add_argument("--password-stdin", action="store_true", help="read the password from standard input")

        team = verbs.add_parser("team", help="make a team, or change who is in it")
        team.add_argument("slug")
        team.add_argument("team", help="the team's slug")
        team.add_argument("--name", default="")
        team.add_argument("--member", dest="emails", action="append", default=[], help="may be given several times")

        mfa = verbs.add_parser("mfa", help="say whether the tenant's pages ask for a second factor")
        mfa.add_argument("slug")
        mfa.add_argument("required", choices=["required", "optional"])
        mfa.add_argument(
            "--trust-provider", action="store_true", help="a sign-in through the tenant's own provider counts as one"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            getattr(self, options["verb"])(**options)
        except TenantError as error:
            raise CommandError(str(error)) from error

    def create(self, *, slug: str, name: str, **_: Any) -> None:
        tenant = tenants.create(slug=slug, name=name, acting_as=COMMAND)
        self.stdout.write(f"tenant {tenant.slug} made ({tenant.id})")

    def member(self, *, slug: str, email: str, role: str, password_stdin: bool, **_: Any) -> None:
        # One line end is the shell's; anything more is the password's own.
        password = sys.stdin.read().removesuffix("\n").removesuffix("\r") if password_stdin else None
        members.put(tenant=tenants.by_slug(slug), email=email, role=Role(role), password=password, acting_as=COMMAND)
        self.stdout.write(f"{email} is {role} of {slug}")

    def team(self, *, slug: str, team: str, name: str, emails: list[str], **_: Any) -> None:
        tenant = tenants.by_slug(slug)
        teams.put(tenant_id=tenant.id, slug=team, name=name, emails=emails, acting_as=COMMAND)
        self.stdout.write(f"team {team} of {slug}: {', '.join(sorted(emails)) or 'nobody yet'}")

    def mfa(self, *, slug: str, required: str, trust_provider: bool, **_: Any) -> None:
        tenant = tenants.by_slug(slug)
        tenants.set_second_factor(
            tenant=tenant, require=required == "required", trust_provider=trust_provider, acting_as=COMMAND
        )
        self.stdout.write(f"a second factor is {required} in {slug}")

"""`tenant …`: tenants, who is in them, their teams."""

import os
import sys
from argparse import ArgumentParser
from collections.abc import Callable, Sequence
from typing import Any, Final

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from db.scope import tenant_scope
from tenants.actions import invitations, members, teams, tenants
from tenants.errors import TenantError
from tenants.models import Membership, Role, Tenant
from tenants.principal import COMMAND

_LEAVING: Final = {
    "remove-member": "end a membership, with keys, team places, grants and queues",
    "deactivate": "let a member in no more; takes all but the role, which `reactivate` brings back",
    "reactivate": "let a deactivated member in again",
}


class Command(BaseCommand):
    help = "Makes tenants, their members and teams, and lets them go."

    def add_arguments(self, parser: ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        create = verbs.add_parser("create", help="make a tenant")
        create.add_argument("slug")
        create.add_argument("--name", default="")
        verbs.add_parser("list", help="list the tenants")
        self._add_people(verbs)
        self._add_teams(verbs)

        mfa = verbs.add_parser("mfa", help="say whether the tenant's pages ask for a second factor")
        mfa.add_argument("slug")
        mfa.add_argument("required", choices=["required", "optional"], help="whether they ask")
        mfa.add_argument(
            "--trust-provider", action="store_true", help="a sign-in through the tenant's own provider counts as one"
        )

    def _add_people(self, verbs: Any) -> None:
        verbs.add_parser("members", help="list the members").add_argument("slug")
        for verb, does in _LEAVING.items():
            parser = verbs.add_parser(verb, help=does)
            parser.add_argument("slug")
            parser.add_argument("email")
        member = verbs.add_parser("member", help="add a member, or change a member's role or password")
        member.add_argument("slug")
        member.add_argument("email")
        member.add_argument("--role", required=True, choices=Role.values)
        member.add_argument("--password-stdin", action="store_true", help="read the password from standard input")
        invite = verbs.add_parser("invite", help="invite a member and print the link, for you to hand over")
        invite.add_argument("slug")
        invite.add_argument("email")
        invite.add_argument("--role", required=True, choices=Role.values)

    def _add_teams(self, verbs: Any) -> None:
        team = verbs.add_parser("team", help="make a team, or change who is in it")
        team.add_argument("slug")
        team.add_argument("team", help="the team's slug")
        team.add_argument("--name", default="")
        team.add_argument("--member", dest="emails", action="append", default=[], help="may be given several times")
        team.add_argument("--rename-to", help="what the team is called from now on")
        delete = verbs.add_parser("delete-team", help="delete a team and what was granted to it")
        delete.add_argument("slug")
        delete.add_argument("team")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            getattr(self, options["verb"].replace("-", "_"))(**options)
        except TenantError as error:
            raise CommandError(str(error)) from error

    def create(self, *, slug: str, name: str, **_: Any) -> None:
        tenant = tenants.create(slug=slug, name=name, acting_as=COMMAND)
        self.stdout.write(f"tenant {tenant.slug} made ({tenant.id})")

    def list(self, **_: Any) -> None:
        for tenant in Tenant.objects.order_by("slug"):
            self.stdout.write(f"{tenant.slug}\t{tenant.name}\t{tenant.id}")

    def members(self, *, slug: str, **_: Any) -> None:
        with tenant_scope(tenants.by_slug(slug).id):
            for each in Membership.objects.select_related("user").order_by("user__email"):
                state = "active" if each.is_active and each.user.is_active else "inactive"
                self.stdout.write(f"{each.user.email}\t{each.role}\t{state}\t{each.user.name}")

    def remove_member(self, *, slug: str, email: str, **_: Any) -> None:
        self._change(slug, email, members.remove, "is no member any more")

    def deactivate(self, *, slug: str, email: str, **_: Any) -> None:
        self._change(slug, email, members.deactivate, "is deactivated")

    def reactivate(self, *, slug: str, email: str, **_: Any) -> None:
        self._change(slug, email, members.reactivate, "is active again")

    def _change(self, slug: str, email: str, verb: Callable[..., Any], done: str) -> None:
        with tenant_scope(tenants.by_slug(slug).id):
            verb(members.any_by_email(email), acting_as=COMMAND)
        self.stdout.write(f"{email} {done} in {slug}")

    def invite(self, *, slug: str, email: str, role: str, **_: Any) -> None:
        tenant = tenants.by_slug(slug)
        _made, token = invitations.invite(tenant_id=tenant.id, email=email, role=Role(role), acting_as=COMMAND)
        self.stdout.write(f"{settings.BASE_URL}/accounts/invitations/{token}/")
        if not os.environ.get("BASE_URL"):
            self.stderr.write(f"BASE_URL is not set, so the link leads to {settings.BASE_URL}.")

    def member(self, *, slug: str, email: str, role: str, password_stdin: bool, **_: Any) -> None:
        # One line end is the shell's; anything more is the password's own.
        password = sys.stdin.read().removesuffix("\n").removesuffix("\r") if password_stdin else None
        members.put(tenant=tenants.by_slug(slug), email=email, role=Role(role), password=password, acting_as=COMMAND)
        self.stdout.write(f"{email} is {role} of {slug}")

    def team(self, *, slug: str, team: str, name: str, emails: Sequence[str], rename_to: str | None, **_: Any) -> None:
        tenant = tenants.by_slug(slug)
        made = teams.put(
            tenant_id=tenant.id, slug=team, name=name, emails=emails, rename_to=rename_to, acting_as=COMMAND
        )
        self.stdout.write(f"team {made.slug} of {slug}: {', '.join(sorted(emails)) or 'nobody yet'}")

    def delete_team(self, *, slug: str, team: str, **_: Any) -> None:
        with tenant_scope(tenants.by_slug(slug).id):
            teams.delete(teams.by_slug(team), acting_as=COMMAND)
        self.stdout.write(f"team {team} of {slug} is gone")

    def mfa(self, *, slug: str, required: str, trust_provider: bool, **_: Any) -> None:
        tenant = tenants.by_slug(slug)
        tenants.set_second_factor(
            tenant=tenant, require=required == "required", trust_provider=trust_provider, acting_as=COMMAND
        )
        self.stdout.write(f"a second factor is {required} in {slug}")

"""`sso allow`, `sso withdraw`, `sso domains` and `sso release`."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from signin.actions import email_domains, identities
from signin.errors import SigninError
from tenants.actions import tenants
from tenants.errors import TenantError
from tenants.principal import COMMAND


class Command(BaseCommand):
    help = "Says whose people the addresses of an e-mail domain are, so that the tenant's provider may vouch for them."

    def add_arguments(self, parser: ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        for verb, what in (
            ("allow", "let the tenant's identity providers answer for a domain; make sure first that it is theirs"),
            ("withdraw", "take a domain back; members of it sign in by password again"),
        ):
            one = verbs.add_parser(verb, help=what)
            one.add_argument("slug")
            one.add_argument("domain")
        verbs.add_parser("domains", help="list the tenant's domains").add_argument("slug")
        release = verbs.add_parser(
            "release",
            help="let members be bound by their addresses to another provider than before, at their next sign-in",
        )
        release.add_argument("slug")
        release.add_argument(
            "email", nargs="?", help="one member's address; all members of the tenant's domains if absent"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            getattr(self, options["verb"])(**options)
        except (TenantError, SigninError) as error:
            raise CommandError(str(error)) from error

    def allow(self, *, slug: str, domain: str, **_: Any) -> None:
        allowed = email_domains.allow(tenants.by_slug(slug), domain, acting_as=COMMAND)
        self.stdout.write(f"{allowed.domain} is a domain of {slug}")

    def withdraw(self, *, slug: str, domain: str, **_: Any) -> None:
        email_domains.withdraw(tenants.by_slug(slug), domain, acting_as=COMMAND)
        self.stdout.write(f"{domain} is no domain of {slug} any more")

    def domains(self, *, slug: str, **_: Any) -> None:
        for domain, provider in email_domains.of(tenants.by_slug(slug)):
            self.stdout.write(f"{domain}  {provider or '-'}")

    def release(self, *, slug: str, email: str | None, **_: Any) -> None:
        count = identities.release(tenants.by_slug(slug), email, acting_as=COMMAND)
        self.stdout.write(f"{count} bound before will be bound at their next sign-in")

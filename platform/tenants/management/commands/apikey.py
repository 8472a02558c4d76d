"""`apikey create|list|rotate|revoke`: a key is printed once, alone on standard output."""

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from db.scope import tenant_scope
from tenants.actions import api_keys, tenants
from tenants.errors import TenantError
from tenants.models import ApiKey
from tenants.principal import COMMAND


class Command(BaseCommand):
    help = "Makes, lists, replaces and revokes API keys."

    def add_arguments(self, parser: ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        create = verbs.add_parser("create", help="make a key and print it once")
        create.add_argument("slug", help="the tenant's slug")
        create.add_argument("--name", required=True, help="what the key is for; shown in lists")
        create.add_argument("--scopes", required=True, help="comma-separated, e.g. runs:write,runs:read")
        create.add_argument("--as", dest="email", help="the member it acts as; otherwise a service account is made")
        create.add_argument("--days", type=int, help="how many days it lives; otherwise until it is revoked")
        verbs.add_parser("list", help="list the keys, newest first").add_argument("slug")
        rotate = verbs.add_parser("rotate", help="make a key in another's place and print it once")
        rotate.add_argument("slug")
        rotate.add_argument("key", help="id or prefix of the old key")
        rotate.add_argument("--overlap-hours", type=int, default=24, help="how long the old key goes on (24)")
        revoke = verbs.add_parser("revoke", help="end a key now and for good")
        revoke.add_argument("slug")
        revoke.add_argument("key", help="its id or prefix")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            getattr(self, options["verb"])(**options)
        except TenantError as error:
            raise CommandError(str(error)) from error

    def create(
        self, *, slug: str, name: str, scopes: str, email: str | None, days: int | None = None, **_: Any
    ) -> None:
        wanted = [scope.strip() for scope in scopes.split(",") if scope.strip()]
        tenant = tenants.by_slug(slug)
        until = None if days is None else timezone.now() + _span(days=days)
        _key, text = api_keys.create(
            tenant=tenant, name=name, scopes=wanted, member_email=email, expires_at=until, acting_as=COMMAND
        )
        self.stdout.write(text)

    def list(self, *, slug: str, **_: Any) -> None:
        with tenant_scope(tenants.by_slug(slug).id):
            for key in ApiKey.objects.select_related("principal").order_by("-id"):
                used = f"{key.last_used_at:%Y-%m-%d %H:%M}" if key.last_used_at else "never"
                parts = (str(key.id), key.prefix, _state(key), key.name, key.principal.email, ",".join(key.scopes))
                self.stdout.write("\t".join((*parts, f"used {used}")))

    def rotate(self, *, slug: str, key: str, overlap_hours: int, **_: Any) -> None:
        with tenant_scope(tenants.by_slug(slug).id):
            _key, text = api_keys.rotate(api_keys.named(key), overlap=_span(hours=overlap_hours), acting_as=COMMAND)
        self.stdout.write(text)

    def revoke(self, *, slug: str, key: str, **_: Any) -> None:
        with tenant_scope(tenants.by_slug(slug).id):
            revoked = api_keys.revoke(api_keys.named(key), acting_as=COMMAND)
        self.stdout.write(f"key {revoked.prefix}… of {slug} is revoked")


def _span(**amount: int) -> timedelta:
    try:
        return timedelta(**amount)
    except OverflowError as error:
        raise CommandError("That is longer than time is counted.") from error


def _state(key: ApiKey) -> str:
    now, ends = timezone.now(), api_keys.ends_at(key)
    if key.revoked_at is not None:
        return "revoked"
    if ends is None:
        return "active"
    return f"{'expired' if ends <= now else 'active until'} {ends:%Y-%m-%d %H:%M}"

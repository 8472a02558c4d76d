"""`secret …`: a value comes by standard input, so that it is in no shell history and no list of processes."""

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from db.scope import tenant_scope
from tenants.actions import tenants
from tenants.errors import TenantError
from tenants.principal import COMMAND
from vault.actions import keys, secrets
from vault.errors import VaultError
from vault.ring import keyring


class Command(BaseCommand):
    help = "Keeps tenants' secrets, and the keys they are sealed with."

    def add_arguments(self, parser: ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        set_ = verbs.add_parser("set", help="keep a secret, in place of any former one of that name")
        set_.add_argument("slug")
        set_.add_argument("name")
        set_.add_argument("--stdin", action="store_true", required=True, help="read the value from standard input")
        list_ = verbs.add_parser("list", help="print the names of a tenant's secrets")
        list_.add_argument("slug")
        delete = verbs.add_parser("delete", help="forget a secret that nothing uses")
        delete.add_argument("slug")
        delete.add_argument("name")
        verbs.add_parser("keys", help="print which keys of FIELD_KEYS are needed, newest first")
        rotate = verbs.add_parser("rotate", help="seal everything with the first key of FIELD_KEYS")
        rotate.add_argument(
            "--batch", type=int, default=keys.BATCH, help="secrets a transaction (default: %(default)s)"
        )
        forget = verbs.add_parser("forget", help="start without a key that is lost for good")
        forget.add_argument("key", help="its public name, as the refusal to start says it")

    def handle(self, *args: Any, verb: str, **options: Any) -> None:
        try:
            getattr(self, f"_{verb}")(options)
        except (TenantError, VaultError) as error:
            raise CommandError(str(error)) from error

    def _set(self, options: dict[str, Any]) -> None:
        # One newline at the end is the shell's, not the secret's.
        value = sys.stdin.read().removesuffix("\n").removesuffix("\r")
        with tenant_scope(tenants.by_slug(options["slug"]).id):
            secrets.put(options["name"], value, acting_as=COMMAND)
        self.stdout.write(f"secret {options['name']} of {options['slug']} set")

    def _list(self, options: dict[str, Any]) -> None:
        with tenant_scope(tenants.by_slug(options["slug"]).id):
            for secret in secrets.kept():
                self.stdout.write(secret.name)

    def _delete(self, options: dict[str, Any]) -> None:
        with tenant_scope(tenants.by_slug(options["slug"]).id):
            secrets.remove(options["name"], acting_as=COMMAND)
        self.stdout.write(f"secret {options['name']} of {options['slug']} deleted")

    def _keys(self, options: dict[str, Any]) -> None:
        old, lost = keys.outdated(), keys.lost()
        newest, *others = keyring().ids
        self.stdout.write(f"{newest} seals")
        for key in others:
            self.stdout.write(f"{key} {'is still needed: run `secret rotate`' if key in old else 'may go'}")
        for key in lost:
            self.stdout.write(f"{key} is lost: put it back into FIELD_KEYS, or `secret forget {key}`")

    def _rotate(self, options: dict[str, Any]) -> None:
        if options["batch"] < 1:
            raise CommandError("--batch is at least 1.")
        done = keys.rotate(acting_as=COMMAND, batch=options["batch"])
        self.stdout.write(f"{done.resealed} sealed anew with {keyring().ids[0]}")
        for key in done.retired:
            self.stdout.write(f"{key} may go from FIELD_KEYS")
        for key in done.needed:
            self.stdout.write(f"{key} is still needed")
        if done.unreadable:
            raise CommandError(
                f"{done.unreadable} could not be opened with any key of FIELD_KEYS and stay as they are."
            )

    def _forget(self, options: dict[str, Any]) -> None:
        keys.forget(options["key"], acting_as=COMMAND)
        self.stdout.write(f"{options['key']} is forgotten; set anew what was sealed with it")

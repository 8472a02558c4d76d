"""`second_factor remove`: for somebody who lost their device and their recovery codes."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from signin import second_factor
from tenants.models import User


class Command(BaseCommand):
    help = "Takes a person's second factors away. Make sure first that it is the person who asks."

    def add_arguments(self, parser: ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        remove = verbs.add_parser("remove", help="remove all of them, recovery codes included")
        remove.add_argument("email")

    def handle(self, *args: Any, email: str, **options: Any) -> None:
        user = User.objects.filter(email=email.strip().lower()).first()
        if user is None:
            raise CommandError(f"There is no account {email}.")
        removed = second_factor.remove_all(user)
        self.stdout.write(f"{user.email}: {removed} removed")

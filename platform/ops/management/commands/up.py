"""`manage.py up`: one machine in one command."""

from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError, CommandParser

from ops import machine, serving
from ops.errors import OpsError, StopRequested
from vault.errors import VaultError


class Command(BaseCommand):
    help = "Runs database (if embedded), migrations, web server and workers in the foreground until SIGTERM or Ctrl-C."
    requires_system_checks: list[str] = []  # noqa: RUF012 - Django's declaration

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", default="127.0.0.1", help="address to serve on (default: this machine only)")
        parser.add_argument("--port", type=int, default=8000, help="port to serve on; 0 takes a free one")
        parser.add_argument(
            "--workers", type=int, default=settings.WORKERS, help="worker processes; 0 serves the web alone"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            self.run(options["host"], options["port"], options["workers"])
        except StopRequested:
            return
        except (OpsError, VaultError, ImproperlyConfigured) as error:
            raise CommandError(str(error)) from error

    def run(self, host: str, port: int, workers: int) -> None:
        """Start everything, say so, and wait."""
        with serving.bind(host, port) as listener, machine.supervised() as supervisor:
            environment = machine.child_environment(listener)
            machine.start_workers(supervisor, workers, environment)
            machine.start_web(supervisor, listener, environment)
            self.stdout.write(f"ready {serving.url_of(listener)}")
            self.stdout.flush()
            supervisor.run()
            machine.say("Stopping …")

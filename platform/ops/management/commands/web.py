"""`manage.py web`: the web server alone, for those who run the parts themselves."""

import socket
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from ops import serving
from ops.errors import OpsError


class Command(BaseCommand):
    help = "Serves the console and the API in the foreground."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: this machine only)")
        parser.add_argument("--port", type=int, default=8000, help="port to listen on; 0 takes a free one")
        parser.add_argument("--fd", type=int, help="a listening socket inherited from the process that started this")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            if options["fd"] is None:
                listener = serving.bind(options["host"], options["port"])
                self.stdout.write(f"serving {serving.url_of(listener)}")
            else:
                listener = socket.socket(fileno=options["fd"])
        except OpsError as error:
            raise CommandError(str(error)) from error
        serving.serve(listener)

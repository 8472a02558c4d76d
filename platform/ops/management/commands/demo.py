"""`manage.py demo`: everything on this machine with demo tenants, for a newcomer; `--once` plays it and judges."""

import json
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError, CommandParser

from ops import machine
from ops.demo import cast, keys
from ops.demo.cases import CASES, STARTERS
from ops.demo.playing import Play
from ops.demo.rest import RestError, fetch
from ops.demo.stage import Stage, stage
from ops.errors import ChildDied, OpsError, StopRequested

SCRIPTED_SECONDS = 180
MODEL_SECONDS = 1800


class Command(BaseCommand):
    help = "Runs everything with demo tenants in the foreground until Ctrl-C; --once plays the demo runs and ends."
    requires_system_checks: list[str] = []  # noqa: RUF012 - Django's declaration

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--once", action="store_true", help="play the runs headless, print one JSON object, end")
        parser.add_argument("--host", default="127.0.0.1", help="address to serve on (default: this machine only)")
        parser.add_argument("--port", type=int, help="port to serve on (default: 8000, with --once a free one)")
        parser.add_argument(
            "--workers", type=int, default=settings.WORKERS, help="worker processes; 0 leaves them to you"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if settings.PRODUCTION:
            raise CommandError("The demo makes logins that anybody can read: it does not run in production.")
        port, workers = options["port"], options["workers"]
        if options["once"]:
            port, workers = port or 0, max(1, workers)
        try:
            with stage(options["host"], 8000 if port is None else port, workers) as ready:
                if options["once"]:
                    self.play(ready)
                else:
                    self.serve(ready)
        except StopRequested:
            if options["once"]:
                raise CommandError("Stopped before the runs had ended.") from None
        except (OpsError, ImproperlyConfigured, RestError) as error:
            raise CommandError(str(error)) from error

    def play(self, ready: Stage) -> None:
        """Play every case, print the results as one line of JSON; CommandError unless all came out as expected."""
        playing = Play(ready.faces(), scripted=ready.rehearsed, tell=machine.say)
        playing.start(CASES)
        seconds = SCRIPTED_SECONDS if ready.rehearsed else MODEL_SECONDS
        found = []
        try:
            ready.supervisor.wait_until(playing.settled, seconds=seconds, what="The end of every run")
        except ChildDied as error:
            found.append(str(error))
        else:
            found += playing.faults(fetch(f"{ready.service}/ledger")["entries"])
        self.stdout.write(json.dumps({"runs": playing.results()}))
        self.stdout.flush()
        if found:
            raise CommandError("\n".join(found))

    def serve(self, ready: Stage) -> None:
        """Start a few runs for a newcomer to look at, say where everything is, and wait."""
        faces = ready.faces()
        acme = faces["acme"]
        playing = Play(faces, scripted=ready.rehearsed, tell=machine.say)
        if not acme.developer.get("runs?limit=1")["results"]:
            playing.start(STARTERS)
        elif not acme.reviewer.get("escalations?status=open&limit=1")["results"]:
            playing.start(STARTERS[-1:])
        self.stdout.write(self._greeting(ready))
        self.stdout.flush()
        ready.supervisor.run()
        machine.say("Stopping …")

    def _greeting(self, ready: Stage) -> str:
        logins = "\n".join(f"  {member.email:<24} {member.role}" for member in cast.members())
        model = (
            "a rehearsal: scripted answers, no tokens spent (set ANTHROPIC_API_KEY for the real one)"
            if ready.rehearsed
            else "the configured supplier's; its tokens are spent"
        )
        return (
            f"ready {ready.url}\n\n"
            f"Sign in with any of these; the password of all is {cast.password(settings.SECRET_KEY)}\n{logins}\n\n"
            f"{cast.reviewer('acme')} has a question to decide.\n\n"
            f"A run from a program, as {cast.developer('acme')}:\n{self._example(ready)}\n\n"
            f"The model is {model}.\n"
            f"What the tools really did: {ready.service}/ledger\n"
            "Ctrl-C stops everything.\n"
        )

    def _example(self, ready: Stage) -> str:
        key = keys.developer("acme")
        machine.close_connections()
        case = CASES[0]
        body = json.dumps({"agent": case.agent, "input": dict(case.input)})
        return (
            f'  curl -s {ready.url}/api/v1/runs -H "Authorization: Bearer {key}" \\\n'
            f"       -H \"Content-Type: application/json\" -d '{body}'"
        )

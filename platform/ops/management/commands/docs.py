"""`docs`: write the files that are generated from the code; `docs --check` fails when one has drifted."""

from argparse import ArgumentParser
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from agents.core import lifecycle
from db import provision
from escalations.models import escalation


class Command(BaseCommand):
    help = "Writes docs/lifecycle.md from the tables of states, and platform/db/roles.sql from the list of roles."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--check", action="store_true", help="write nothing; fail when a page is not up to date")

    def handle(self, *args: Any, check: bool, **options: Any) -> None:
        for name, text in {"docs/lifecycle.md": lifecycle_page(), "platform/db/roles.sql": roles_script()}.items():
            page = settings.BASE_DIR / name
            if not check:
                page.write_text(text, encoding="utf-8")
            elif not page.exists() or page.read_text(encoding="utf-8") != text:
                raise CommandError(f"{name} is not what the code says: run `manage.py docs`.")


def roles_script() -> str:
    """Return what a server's administrator runs in a new database."""
    head = """\
-- The roles and the rights around the tables; written by `manage.py docs`. A superuser runs it once in the database
-- `countersign`, before the first `migrate`, and may run it again at any time. Passwords are given apart from it.
"""
    return head + "".join(f"\n{line};\n" for line in provision.statements("countersign"))


def lifecycle_page() -> str:
    """Return the page on states, drawn from the two literal tables."""
    return f"""# States

Written by `manage.py docs` from the tables in the code; `make check` fails when it differs.

## A run (`agents/core/lifecycle.py`)

{diagram(lifecycle.TRANSITIONS, start="queued")}

A waiting run waits for a `decision`, a `timer`, a `child` or the `provider`, and holds no worker, thread or connection.
What is undone before a run ends, what is set aside, and what becomes of a call: [Outcomes](outcomes.md).

## An escalation (`escalations/models/escalation.py`)

{diagram(escalation.TRANSITIONS, start="open")}
"""


def diagram(transitions: Mapping[tuple[str, str], str], *, start: str) -> str:
    """Return a Mermaid state diagram of a table (state, happening) → state."""
    states = {state for state, _ in transitions}
    final = sorted(set(transitions.values()) - states)
    lines = ["```mermaid", "stateDiagram-v2", f"    [*] --> {start}"]
    lines += [f"    {before} --> {after}: {happening}" for (before, happening), after in transitions.items()]
    lines += [f"    {state} --> [*]" for state in final]
    return "\n".join([*lines, "```"])

"""Print what this code asks of the database as JSON."""

import json
import os
import re
import sys
from typing import Any, Final

import django

Json = Any

#: Statements of the engine that run in the dispatch role.
OF_DISPATCH: Final = frozenset({"CLAIM", "HEARTBEAT", "RELEASE", "PUT_OFF", "SWEEP", "NEXT_DUE"})

_PLACE: Final = re.compile(r"%(?:\((\w+)\))?s")


def recording() -> Json:
    """Return the engine's statements with `$n` for parameters and their roles, and each model's columns."""
    from django.apps import apps

    from agents.engine import statements

    asked = {}
    for name, value in sorted(vars(statements).items()):
        query = value if isinstance(value, str) else getattr(value, "sql", b"").decode()
        if name.isupper() and not name.startswith("_") and " " in query:
            asked[name] = {"role": "dispatch" if name in OF_DISPATCH else "app", "query": numbered(query)}
    columns = {
        model._meta.db_table: sorted(str(field.column) for field in model._meta.local_concrete_fields)
        for model in apps.get_models(include_auto_created=True)
        if model._meta.managed and not model._meta.proxy
    }
    return {"statements": asked, "columns": columns}


def numbered(query: str) -> str:
    """Return the query with `$1`, `$2`, … in place of `%(name)s` and `%s`, as PREPARE wants them."""
    known: dict[str, int] = {}
    return _PLACE.sub(lambda found: f"${known.setdefault(found[1] or str(found.start()), len(known) + 1)}", query)


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    json.dump(recording(), sys.stdout, indent=1)
    sys.stdout.write("\n")

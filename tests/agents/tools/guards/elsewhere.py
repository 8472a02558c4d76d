"""Another worker: claims the tenant's next run, makes one call of it, and tells the outcome."""

import os
import sys
from uuid import UUID

import django


def main(tenant: str, key: str) -> None:
    """Make the call."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    from agents.core.state import Call
    from agents.engine.toolbox import perform_call
    from tests.agents.tools.guards.office import claimed

    run = claimed(UUID(tenant))
    print(perform_call(run, Call(0, "c", "ask", {"key": key}), f"{run.id}-key"), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])

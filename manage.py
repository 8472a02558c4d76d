#!/usr/bin/env python3
"""Entry point of the management commands (`python manage.py help`)."""

import os
import select
import sys
from pathlib import Path


def main() -> None:
    """Run the command named on the command line."""
    sys.path.insert(1, str(Path(__file__).resolve().parent / "platform"))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    try:
        from django.core.exceptions import ImproperlyConfigured
        from django.core.management import execute_from_command_line
    except ModuleNotFoundError:
        sys.exit("Django is not installed in this Python. Run `make setup`, then use .venv/bin/python manage.py.")
    try:
        try:
            execute_from_command_line(sys.argv)
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        if _is_read():
            raise
        # What is left to write goes where nobody looks, or Python would complain of it at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except ImproperlyConfigured as error:
        # Its message says how to mend it; where in the code it was found helps nobody who runs a command.
        sys.exit(str(error))


def _is_read() -> bool:
    """Whether somebody reads standard output still: not when `head` has seen enough."""
    output = select.poll()
    output.register(sys.stdout.fileno(), 0)
    return not any(state & (select.POLLERR | select.POLLHUP) for _, state in output.poll(0))


if __name__ == "__main__":
    main()

"""`qcluster` whose drivers hand over twice a second: what happens between slices happens often."""

import os
import sys

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

from django.core.management import call_command  # noqa: E402

from agents.engine import django_q  # noqa: E402

if __name__ == "__main__":
    django_q.SLICE_S = 0.5  # type: ignore[misc]
    django_q.KEEP_S = 1.0  # type: ignore[misc]
    call_command("qcluster", *sys.argv[2:])

"""`manage.py` with the bench's tool registered, as a package of tools would be: the processes that are measured."""

import sys
from pathlib import Path

sys.path.insert(1, str(Path(__file__).resolve().parent.parent))

import lookup_tool  # noqa: F401 - registers

import manage

manage.main()

"""The tool of the common work as a Python function of the installation. Importing this registers it."""

from agents.tools.python import tool
from common import lookup

NAME = "bench_lookup"

tool(NAME)(lookup)

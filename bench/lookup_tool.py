"""The tool of the common work as a Python function of the installation. Importing this registers it."""

from common import lookup

from agents.tools.python import tool

NAME = "bench_lookup"

tool(NAME)(lookup)

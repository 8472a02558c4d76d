"""Verifies what was exported from a log, offline: neither Django nor a database. `python -m audit.verify BUNDLE`."""

"""Verbs, a noun a file."""

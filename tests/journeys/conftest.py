"""Data folders for demos of a test's own."""

from tests.db.embedded.conftest import data_dir

__all__ = ["data_dir"]

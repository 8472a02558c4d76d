"""Data folders for demos of the tests' own."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.db.embedded.conftest import data_dir, remove

__all__ = ["data_dir"]


@pytest.fixture(scope="session")
def used_dir() -> Iterator[Path]:
    """A folder that one journey after the other uses: a demo can be started anew on what another left."""
    folder = Path(tempfile.mkdtemp(prefix="countersign-test-"))
    folder.chmod(0o755)
    yield folder
    remove(folder)

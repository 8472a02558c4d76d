"""A data folder for one embedded server of a test's own."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from db import embedded


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """An empty folder that the server's account can reach; its server is stopped and all is removed afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="countersign-test-"))
    folder.chmod(0o755)
    yield folder
    remove(folder)


def remove(data_dir: Path) -> None:
    """Stop the server of `data_dir` and remove its files, also those that lie elsewhere."""
    if (data_dir / "postgresql" / "data" / "PG_VERSION").exists():
        embedded.stop(data_dir)
    embedded.stop_if_unused(data_dir)
    root = (data_dir / "postgresql").resolve()
    shutil.rmtree(root, ignore_errors=True)
    shutil.rmtree(data_dir)

"""Data folders for demos of the tests' own, and the engines they run on."""

import secrets
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.agents.engine.temporal.server import temporal_address
from tests.db.embedded.conftest import data_dir, remove

__all__ = ["data_dir", "temporal_address"]


@pytest.fixture(params=["django_q", "temporal"])
def engine(request: pytest.FixtureRequest) -> dict[str, str]:
    """The variables of an installation of each engine."""
    if request.param == "django_q":
        return {"ENGINE": "django_q"}
    address: str = request.getfixturevalue("temporal_address")
    queue = f"journey-{secrets.token_hex(4)}"
    return {"ENGINE": "temporal", "TEMPORAL_ADDRESS": address, "TEMPORAL_TASK_QUEUE": queue}


@pytest.fixture(scope="session")
def used_dir() -> Iterator[Path]:
    """A folder that one journey after the other uses: a demo can be started anew on what another left."""
    folder = Path(tempfile.mkdtemp(prefix="countersign-test-"))
    folder.chmod(0o755)
    yield folder
    remove(folder)

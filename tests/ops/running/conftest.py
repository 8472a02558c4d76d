"""Servers and data folders of the tests' own."""

from collections.abc import Iterator

import pytest

from tests.db.embedded.conftest import data_dir
from tests.ops.running import postgres
from tests.ops.running.postgres import Postgres

__all__ = ["data_dir"]


@pytest.fixture
def external() -> Iterator[Postgres]:
    """An operator's server with the database, the roles and their passwords, and no tables yet."""
    with postgres.server(postgres.new_passwords()) as made:
        yield made

"""Connections that look behind the runtime role's back."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from django.db import connection

from db.embedded import Server


@pytest.fixture
def superuser(database: None, embedded_server: Server) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    """A superuser's connection to the run's database."""
    with psycopg.connect(embedded_server.dsn(database=connection.settings_dict["NAME"]), autocommit=True) as raw:
        yield raw

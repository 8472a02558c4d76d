"""What goes to the database by `db.trip`, which Django does not count."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

from db import trip


@contextmanager
def trips() -> Iterator[list[list[str]]]:
    """Note each round trip of the block, by the names of its statements."""
    made: list[list[str]] = []
    exchange = trip._exchange

    def noting(connection: Any, calls: Any) -> Any:
        made.append([called.name.decode().removeprefix("trip_") for called, _ in calls])
        return exchange(connection, calls)

    with mock.patch.object(trip, "_exchange", noting):
        yield made

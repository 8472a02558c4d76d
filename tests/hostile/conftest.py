"""The servers of the desks that have some; and what tells at the end how much was tried."""

from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import urlsplit

import pytest
from django.test import override_settings

from agents.engine import toolbox
from egress import installed
from tests.egress.servers import Seen
from tests.hostile.playing import Tally
from tests.hostile.served_sets import serving

#: All that was played in this process.
TALLY: Final = Tally()

#: Where each server is in place of what the documents say; and the place that nobody may reach.
Servers = tuple[dict[str, str], Seen]


@pytest.fixture(scope="module")
def servers() -> Iterator[Servers]:
    """Servers in a stranger's hands, which outgoing calls may reach, and one that they may not."""
    with serving() as (places, trap):
        allowed = tuple(urlsplit(url).netloc for url in places.values())
        with override_settings(EGRESS_ALLOW=allowed):
            _forget_the_client()
            yield places, trap
        _forget_the_client()


def _forget_the_client() -> None:
    installed.client.cache_clear()
    toolbox.registry.cache_clear()


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print the count, when anything was played here."""
    if TALLY.counts["runs"]:
        said = "something that may not be" if terminalreporter.stats.get("failed") else "nothing that may not be"
        terminalreporter.write_line(f"hostile model: {TALLY}; {said}")

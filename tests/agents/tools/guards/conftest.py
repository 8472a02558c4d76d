"""An office that tools may call."""

from collections.abc import Iterator

import pytest

from agents.engine import toolbox
from agents.tools.breaker import breakers
from agents.tools.kept import kept
from egress import installed
from egress.client import Client
from tests.agents.tools.guards.office import Office, office


@pytest.fixture
def bureau(database: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Office]:
    """The office, open; this process may call it."""
    with office() as made:
        allowed = Client(frozenset({("127.0.0.1", made.seen.port)}))
        monkeypatch.setattr(installed, "client", lambda: allowed)
        toolbox.registry.cache_clear()
        breakers.forget()
        kept.quiet_until = 0.0  # an earlier test may have broken the session
        yield made
        allowed.close()
    toolbox.registry.cache_clear()

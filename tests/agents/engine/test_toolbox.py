"""What tools ask of the platform while its database is away, and how the lease is kept meanwhile."""

import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any, NoReturn, cast
from uuid import UUID

import pytest
from django.db import OperationalError, connection
from django.db.backends.postgresql.base import DatabaseWrapper

from agents.core.state import Call
from agents.engine import claims, leases, toolbox
from agents.engine.executor import Means, RunExecutor
from agents.engine.leases import GRACE_S, Claimed, LostLease
from agents.engine.toolbox import perform_call
from agents.tools import attempts
from agents.tools.perform import longest
from agents.tools.python import tool
from agents.tools.seam import Finished, PlatformAway, ToolContext
from db.pool import transaction_connection
from db.scope import tenant_scope
from egress import installed
from egress.client import Client
from tests.egress.servers import Seen, answer, serve
from tests.worlds import LEDGER, world
from vault.actions import secrets

TIMEOUT_S = 45.0


DURING: list[Callable[[], None]] = []
"""What a test does while an effect is in progress."""


@tool("test_charge")
def charge(to: str, context: ToolContext) -> str:
    """Charge somebody."""
    key = context.secret("till")
    for do in DURING:
        do()
    LEDGER.note(f"charge {to} with {len(key)}")
    return "charged"


@pytest.fixture
def till() -> Iterator[Seen]:
    """A server that does as it is told."""

    def charged(peer: socket.socket, request: bytes, nth: int) -> None:
        for do in DURING:
            do()
        peer.sendall(answer(b'"charged"', content_type="application/json"))

    with serve(charged) as server:
        yield server


@pytest.fixture
def run(database: None, till: Seen, monkeypatch: pytest.MonkeyPatch) -> Iterator[Claimed]:
    """A claimed run that may call both tools, which need a secret; looks are short."""
    acme = world()
    spec = {
        "description": "Charge somebody.",
        "input_schema": {"type": "object", "properties": {"to": {"type": "string"}}, "required": ["to"]},
        "effect": "write",
        "timeout_s": TIMEOUT_S,
    }
    post = {"method": "POST", "url": till.url, "headers": {"Authorization": "Bearer secret:till"}}
    tools = {
        "by_function": {**spec, "type": "python", "python": {"function": "test_charge"}},
        "by_request": {**spec, "type": "http", "http": post},
    }
    with tenant_scope(acme.tenant_id):
        secrets.put("till", "open-sesame", acting_as=acme.alice)
    acme.define("charger", role="You charge people.", tool_specs=cast(Any, tools))
    submitted = acme.submit("charger", {"to": acme.slug})
    with claims.claim("test", after=UUID(int=acme.tenant_id.int - 1)) as claimed:
        assert claimed is not None
        step, mine = claimed
        assert mine.id == submitted.id
        RunExecutor(mine, Means(None, None, None, lambda: False)).begin(step)  # type: ignore[arg-type]
    allowed = Client(frozenset({("127.0.0.1", till.port)}))
    monkeypatch.setattr(installed, "client", lambda: allowed)
    monkeypatch.setattr(attempts, "AWAY_PAUSE_S", 0.01)
    toolbox.registry.cache_clear()
    yield mine
    toolbox.registry.cache_clear()


def charges(run: Claimed, till: Seen) -> int:
    return LEDGER.effects[f"charge {run.id} with 11"] + len(till.requests)


def perform(run: Claimed, name: str) -> Any:
    """Make the call as the executor does."""
    with run.busy(longest(run.spec.tools[name].definition)):
        return perform_call(run, Call(0, "c", name, {"to": str(run.id)}), "key")


@pytest.mark.parametrize("ask", ["secret", "source"])
def test_a_database_that_is_away_is_not_said_to_have_no_such_secret(
    run: Claimed, monkeypatch: pytest.MonkeyPatch, ask: str
) -> None:
    def away(*_: Any) -> NoReturn:
        raise OperationalError

    with toolbox.Context(run, 1.0) as context:
        with pytest.raises(LookupError):
            getattr(context, ask)("none")

        monkeypatch.setattr(toolbox, "tenant_scope", away)
        with pytest.raises(PlatformAway):
            getattr(context, ask)("none")
    assert run.busy_until is None


BOTH = pytest.mark.parametrize("name", ["by_function", "by_request"])


@BOTH
def test_a_call_waits_for_a_connection_to_the_database(
    run: Claimed, till: Seen, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    pool = cast(DatabaseWrapper, connection).pool
    connection.close()
    with ExitStack() as taken:
        for _ in range(pool.max_size):
            taken.enter_context(transaction_connection())
        monkeypatch.setattr(pool, "timeout", 0.05)
        threading.Timer(0.4, taken.close).start()
        outcome = perform(run, name)

    assert (outcome, charges(run, till)) == (Finished("charged"), 1)
    told = [record.getMessage() for record in caplog.records if record.name == "agents.tools.attempts"]
    assert told[0] == f"A call of the tool {name} waits for the platform's database (OperationalError)."
    assert len(told) == 2


@pytest.fixture
def away(run: Claimed, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Leave so many look-ups unanswered, each for 15 s on the leases' clock, while heartbeats are answered."""
    unanswered, passed, real, scope = [0], [0.0], leases.lease_clock, tenant_scope
    monkeypatch.setattr(leases, "lease_clock", lambda: real() + passed[0])

    def ask(tenant_id: UUID) -> Any:
        if not unanswered[0]:
            return scope(tenant_id)
        unanswered[0] -= 1
        passed[0] += 15.0
        leases.heartbeat([run])
        raise OperationalError

    monkeypatch.setattr(toolbox, "tenant_scope", ask)
    return lambda times: unanswered.__setitem__(0, times)


@BOTH
def test_what_waited_long_has_a_lease_that_is_renewed_for_as_long_as_it_may_take(
    run: Claimed, till: Seen, away: Callable[[int], None], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    at_most = longest(run.spec.tools[name].definition)
    seen: list[Any] = []

    def look() -> None:
        assert run.busy_until is not None
        seen.append(run.busy_until - leases.lease_clock() >= at_most + GRACE_S - 1)
        seen.append(leases.heartbeat([run]))

    monkeypatch.setattr(sys.modules[__name__], "DURING", [look])
    away(int((at_most + GRACE_S) // 15))

    assert perform(run, name) == Finished("charged")
    assert seen == [True, {run.id}]
    assert run.busy_until is None


@BOTH
def test_what_waited_for_longer_than_its_lease_is_renewed_is_not_begun(
    run: Claimed, till: Seen, away: Callable[[int], None], name: str
) -> None:
    away(int((longest(run.spec.tools[name].definition) + GRACE_S) // 15) + 1)

    with pytest.raises(LostLease):
        perform(run, name)
    assert run.has_lease()  # what is left of it is no use: nobody renews it
    assert charges(run, till) == 0
    assert run.busy_until is None


def test_an_answer_behind_the_end_of_the_call_keeps_nothing_busy(run: Claimed) -> None:
    with toolbox.Context(run, 1.0) as context:
        context.secret("till")
        assert run.busy_until is not None
    assert run.busy_until is None

    context.secret("till")

    assert run.busy_until is None

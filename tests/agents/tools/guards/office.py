"""A server that tools call, and runs whose calls a test makes: here, and in a process of its own."""

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, cast
from uuid import UUID

from django.conf import settings
from django.db import connection

from agents.actions.runs import Request, submit
from agents.core.state import Call
from agents.engine import claims
from agents.engine.executor import Means, RunExecutor
from agents.engine.leases import Claimed
from agents.engine.toolbox import perform_call
from agents.tools.seam import Outcome
from tenants.principal import Principal
from tests.egress.servers import Seen, answer, serve
from tests.ops.processes import eventually
from tests.worlds import World, world

Json = Any

#: Seconds within which what is waited for happens; nothing asserts on less.
PATIENCE_S = 30.0


@dataclass
class Office:
    """Answers requests. open: while set it answers at once; answers: what it says next, the last again and again."""

    open: threading.Event = field(default_factory=threading.Event)
    answers: list[bytes] = field(default_factory=list)
    at_work: int = 0
    most_at_work: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    seen: Seen = field(init=False)

    @property
    def calls(self) -> int:
        """How many requests came."""
        return len(self.seen.requests)

    def came(self, calls: int) -> None:
        """Wait until so many requests have come."""
        assert eventually(lambda: self.calls >= calls), f"{self.calls} of {calls} calls came"

    def handle(self, peer: socket.socket, request: bytes, nth: int) -> None:
        """Answer one request, once the office is open."""
        with self.lock:
            self.at_work += 1
            self.most_at_work = max(self.most_at_work, self.at_work)
        self.open.wait(PATIENCE_S)
        with self.lock:
            said = self.answers.pop(0) if len(self.answers) > 1 else (self.answers or [ok(nth)])[0]
            self.at_work -= 1
        peer.sendall(said)


@contextmanager
def office() -> Iterator[Office]:
    """An open office, for as long as the block lasts."""
    made = Office()
    made.open.set()
    with serve(made.handle) as made.seen:
        try:
            yield made
        finally:
            made.open.set()


def ok(number: int) -> bytes:
    """The answer to the request of that number."""
    return answer(json.dumps({"number": number}).encode(), content_type="application/json")


SICK = answer(b"out of order", "503 Service Unavailable")
NONE_SUCH = answer(b"no such key", "404 Not Found")


def spec(of: Office, **more: Json) -> Json:
    """A tool that asks the office for a key."""
    return {
        "description": "Ask the office.",
        "type": "http",
        "http": {"method": "GET", "url": f"{of.seen.url}/{{key}}"},
        "input_schema": {"type": "object", "properties": {"key": {"type": "string"}}, "required": ["key"]},
        "effect": "read",
        "timeout_s": PATIENCE_S,
        **more,
    }


class Desk:
    """A tenant whose agent may use one tool, `ask`, and its runs."""

    def __init__(self, tool: Json, **more: Json) -> None:
        self.acme: World = world()
        self.acme.define("asker", role="You ask.", tool_specs=cast(Any, {"ask": tool, **more}))
        self._threads = ThreadPoolExecutor(16)

    def run(self, principal: Principal | None = None) -> Claimed:
        """Return a claimed run of the agent."""
        submit(Request(agent="asker", input={"a": 1}), acting_as=principal or self.acme.alice)
        return claimed(self.acme.tenant_id)

    def ask(self, key: str = "k", *, run: Claimed | None = None, name: str = "ask") -> Outcome:
        """Make a call as the engine does."""
        run = run or self.run()
        with run.busy(PATIENCE_S):
            return perform_call(run, Call(0, "c", name, {"key": key}), f"{run.id}-key")

    def asks(self, key: str = "k", *, run: Claimed | None = None) -> "Future[Outcome]":
        """Make a call in a thread of its own."""
        run = run or self.run()

        def asked() -> Outcome:
            try:
                return self.ask(key, run=run)
            finally:
                connection.close()

        return self._threads.submit(asked)

    @contextmanager
    def elsewhere(self, of: Office, environment: dict[str, str], key: str = "k") -> Iterator["subprocess.Popen[str]"]:
        """Make a call in a process of its own, which tells its outcome on a line; its run is submitted here."""
        submit(Request(agent="asker", input={"a": 1}), acting_as=self.acme.alice)
        path = f"{settings.BASE_DIR}:{settings.BASE_DIR / 'platform'}"
        allowed = {"PYTHONPATH": path, "EGRESS_ALLOW": f"127.0.0.1:{of.seen.port}", "PATH": os.environ["PATH"]}
        command = [sys.executable, "-m", "tests.agents.tools.guards.elsewhere", str(self.acme.tenant_id), key]
        with subprocess.Popen(
            command, env=environment | allowed, stdout=subprocess.PIPE, text=True, cwd=settings.BASE_DIR
        ) as process:
            try:
                yield process
            finally:
                process.kill()


def claimed(tenant_id: UUID) -> Claimed:
    """Claim the tenant's next run, and begin it up to its first model call."""
    means = Means(None, perform_call, tools=None, stopping=lambda: False)  # type: ignore[arg-type]
    with claims.claim("test", after=UUID(int=tenant_id.int - 1)) as found:
        assert found is not None
        step, run = found
        assert run.tenant_id == tenant_id
        RunExecutor(run, means).begin(step)
    return run

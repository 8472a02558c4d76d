"""Tools as the platform calls them: what `agents.tools.perform` is given, with the tenant's secrets and sources."""

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import lru_cache, partial
from typing import Self
from uuid import UUID

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection

from agents.core.state import Call
from agents.engine import leases, mcp_seen
from agents.engine.leases import Claimed, LostLease
from agents.models import DataSourceRow, McpServerRow
from agents.tools.guarding import guarded
from agents.tools.perform import Registry, longest, perform
from agents.tools.registry import build_registry
from agents.tools.seam import DataSource, McpServer, NoLongerOurs, Outcome, PlatformAway, ToolCall
from config.redaction import remember
from db.scope import tenant_scope
from egress import installed
from vault.actions import secrets


class _Tenant:
    """What a call may ask of its tenant's rows; each look-up is a short transaction of its own."""

    def __init__(self, tenant_id: UUID, run_id: UUID | None, principal_id: UUID) -> None:
        self.tenant_id = tenant_id
        self.run_id: UUID | None = run_id
        self.principal_id = principal_id

    def conceal(self, value: str) -> None:
        """Have this value taken out of what the process logs."""
        remember(value)

    def secret(self, name: str) -> str:
        """Return a secret's value; raises `LookupError` and `PlatformAway`."""
        with self._scope():
            return secrets.reveal(name)

    def source(self, name: str) -> DataSource:
        """Return a data source; raises `LookupError` and `PlatformAway`."""
        with self._scope():
            row = DataSourceRow.objects.filter(name=name).first()
            if row is None:
                raise LookupError(name)
            url = row.url
            if url.startswith("secret:"):
                url = secrets.reveal(url.removeprefix("secret:"))
            return DataSource(row.engine, url)

    def mcp_server(self, name: str) -> McpServer:
        """Return an MCP server; raises `LookupError` and `PlatformAway`."""
        with self._scope():
            row = McpServerRow.objects.filter(name=name).first()
            if row is None:
                raise LookupError(f"There is no MCP server {name!r}.")
            return row.server

    def mcp_changed(self, server: str, tool: str, sha256: str) -> None:
        """Write down that the server defines the tool by that hash now; raises `PlatformAway`."""
        with self._scope():
            mcp_seen.changed(server, tool, sha256)

    @contextmanager
    def _scope(self) -> Iterator[None]:
        try:
            with tenant_scope(self.tenant_id):
                yield
        except (OperationalError, InterfaceError) as error:
            raise PlatformAway from error
        finally:
            connection.close()
        self.waited()

    def waited(self) -> None:
        """What was asked of the platform is answered."""


class Context(_Tenant):
    """What a tool may ask for while it runs for a run.

    seconds: how long the call may take from an answered look-up on. As a context manager it holds the run busy for so
    long (`Claimed.busy`), so that who had to wait for the answer has a lease that is renewed while it does its work.
    """

    def __init__(self, run: Claimed, seconds: float) -> None:
        super().__init__(run.tenant_id, run.id, run.principal_id)
        self._run = run
        self._seconds = seconds
        self._lock = threading.Lock()  # guards what follows
        self._busy: ExitStack | None = ExitStack()  # None: the call is over

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            if self._busy is not None:
                self._busy.close()
            self._busy = None

    def may_begin(self) -> bool:
        """Say whether an effect may be begun: enough of the lease is left, and it is renewed."""
        until = self._run.busy_until
        return self._run.has_lease() and (until is None or until > leases.lease_clock())

    def begin(self) -> None:
        """Raise `LostLease` when no effect may be begun any more."""
        if not self.may_begin():
            raise LostLease(self.run_id)

    def waited(self) -> None:
        """Hold the run busy for the whole of the call's time from now on."""
        with self._lock:
            if self._busy is not None:
                before, self._busy = self._busy, ExitStack()
                self._busy.enter_context(self._run.busy(self._seconds))
                before.close()


class TryContext(_Tenant):
    """What a tool may ask for while somebody tries it. until: on the monotonic clock; nothing is begun after it."""

    def __init__(self, tenant_id: UUID, principal_id: UUID, *, until: float) -> None:
        super().__init__(tenant_id, None, principal_id)
        self._until = until

    def begin(self) -> None:
        """Raise `NoLongerOurs` when it has taken too long."""
        if time.monotonic() > self._until:
            raise NoLongerOurs

    def waited(self) -> None:
        """Change nothing: somebody waits for the answer, so that the time is counted from the beginning."""


@lru_cache(maxsize=1)
def registry() -> Registry:
    """Return the kinds of this process, behind its one guarded client."""
    return build_registry(
        client=installed.client(), sources_dir=settings.DATA_DIR / "sources", mcp_allow=settings.MCP_STDIO_ALLOW
    )


def perform_call(run: Claimed, call: Call, idempotency_key: str) -> Outcome:
    """Make one call of a run. Never raises for what the outside does; `LostLease` when it may not be begun any more."""
    tool = run.spec.tools[call.tool]
    made = ToolCall(tool.definition, call.arguments, idempotency_key)
    with Context(run, longest(made.definition)) as context:
        make = partial(perform, made, context, registry=registry(), may_go_on=context.may_begin)
        if tool.guards is None:
            return make()
        return guarded(tool, tool.guards, made, context, make, again=call.undoes is not None)

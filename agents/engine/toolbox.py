"""Tools as the engine calls them: a run's call to `agents.tools.perform`, with the tenant's secrets and sources."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from uuid import UUID

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection

from agents.core.state import Call
from agents.engine.leases import Claimed
from agents.models import DataSourceRow
from agents.tools.perform import Registry, perform
from agents.tools.registry import build_registry
from agents.tools.seam import DataSource, Outcome, PlatformAway, ToolCall
from db.scope import tenant_scope
from egress import installed
from vault.actions import secrets


class Context:
    """What a tool may ask for while it runs; each look-up is a short transaction of its own."""

    def __init__(self, run: Claimed) -> None:
        self.tenant_id = run.tenant_id
        self.run_id: UUID | None = run.id
        self.principal_id = run.principal_id
        self.begin = run.check_lease

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

    @contextmanager
    def _scope(self) -> Iterator[None]:
        try:
            with tenant_scope(self.tenant_id):
                yield
        except (OperationalError, InterfaceError) as error:
            raise PlatformAway from error
        finally:
            connection.close()


@lru_cache(maxsize=1)
def registry() -> Registry:
    """Return the kinds of this process, behind its one guarded client."""
    return build_registry(client=installed.client(), sources_dir=settings.DATA_DIR / "sources")


def perform_call(run: Claimed, call: Call, idempotency_key: str) -> Outcome:
    """Make one call of a run. Never raises for what the outside does; `LostLease` when it may not be begun any more."""
    made = ToolCall(run.spec.tools[call.tool].definition, call.arguments, idempotency_key)
    return perform(made, Context(run), registry=registry(), may_go_on=run.has_lease)

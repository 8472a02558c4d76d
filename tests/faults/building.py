"""Build a rig: a tenant with agents and keys, the servers that its tools and its model reach, a forge, a web server."""

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psycopg
from django.db import connections

from db.scope import tenant_scope
from tests.agents.providers.servers import rehearsal
from tests.api.conftest import caller
from tests.faults import agents, effects, forge
from tests.faults.rig import SCRIPTS, Rig
from tests.worlds import world
from vault.actions import secrets as vault


@contextmanager
def built(environment: Mapping[str, str], *, engine: str, superuser: str, logs: Path) -> Iterator[Rig]:
    """Yield a rig on the database that this process uses.

    environment: of the rig's processes, but for what is made here. superuser: connection string of the database's.
    """
    with (
        effects.serving() as served,
        rehearsal(SCRIPTS) as model,
        psycopg.connect(superuser, autocommit=True) as look,
    ):
        look.execute("SET lock_timeout = '60s'")  # a test that waits for a frozen worker's lock says so
        acme = world()
        with tenant_scope(acme.tenant_id):
            vault.put("token", secrets.token_hex(8), acting_as=acme.alice)
        agents.define(acme, served.url)
        acme.grant("review", acme.agent("careful"), acme.rita)
        acme.grant("review", acme.agent("payer"), acme.rita)
        keys = {name: caller(acme, who).key or "" for name, who in {"alice": acme.alice, "rita": acme.rita}.items()}
        connections.close_all()
        made = {"ANTHROPIC_BASE_URL": model, "EGRESS_ALLOW": served.place, "ENGINE": engine, "LOG_LEVEL": "WARNING"}
        whole = {**made, **environment}
        with forge.forge(whole) as forging, forging.running("tests.faults.processes:web") as web:
            yield Rig(whole, engine, web.hear(), served, forging, acme, keys, look, logs)

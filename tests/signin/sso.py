"""Tenants with a provider, and people who come through it."""

import html
import re
from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connection
from django.test import Client

from db.scope import tenant_scope
from egress import installed
from signin.actions import email_domains, identity_providers
from signin.actions.identity_providers import Wanted
from signin.models import IdentityProvider
from tenants.actions import tenants
from tenants.principal import COMMAND
from tests.signin.idp import CLIENT_ID, CLIENT_SECRET, IdP, serving
from tests.worlds import World

Json = Any


@pytest.fixture
def idp(settings: Any) -> Iterator[IdP]:
    """A provider that outgoing calls may reach."""
    with serving() as made:
        settings.EGRESS_ALLOW = (made.place,)
        installed.client.cache_clear()
        yield made
        installed.client.cache_clear()


def domain(world: World) -> str:
    """Return the domain of the addresses of a tenant's people."""
    return f"{world.slug}.example"


def provide(world: World, idp: IdP, *, of: World | None = None, **more: Any) -> IdentityProvider:
    """Give a tenant the provider, which answers for the tenant's own addresses, or those of another one's people."""
    name = domain(of or world)
    email_domains.allow(tenants.by_slug(world.slug), name, acting_as=COMMAND)
    wanted: dict[str, Any] = {
        "issuer": idp.issuer,
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "name": "Corp Login",
        "domains": [name],
    }
    return change(world, **(wanted | more))


def change(world: World, slug: str = "corp", **wanted: Any) -> IdentityProvider:
    """Set a tenant's provider up, or otherwise than before."""
    with tenant_scope(world.tenant_id):
        return identity_providers.put(slug, Wanted(**wanted), acting_as=COMMAND)


def visitor() -> Client:
    """Return a browser that was never here."""
    number = uuid4().int
    return Client(REMOTE_ADDR=f"10.{number % 250}.{number // 250 % 250}.2")


def way_out(page: Any) -> str:
    """Return where a page of ours leads on to."""
    found = re.search(r'http-equiv="refresh" content="0;url=([^"]+)"', page.content.decode())
    assert found is not None, page.content.decode()
    return html.unescape(found.group(1))


def begin(client: Client, world: World, *, at: str = "corp") -> str:
    """Set out for the provider; return the address the browser is sent to."""
    return way_out(client.post(f"/accounts/sso/{world.slug}/{at}/"))


def come(client: Client, world: World, idp: IdP, *, at: str = "corp", **claims: Json) -> Any:
    """Go to the provider and come back as whom it says."""
    back = idp.authorize(begin(client, world, at=at), **claims)
    return client.get(f"/accounts/sso/{world.slug}/{at}/callback/", back)


def person(world: World, who: str, **more: Json) -> dict[str, Json]:
    """Return what an honest provider says of one of a tenant's people."""
    return {"sub": f"sub-of-{who}", "email": f"{who}@{domain(world)}", "email_verified": True, **more}


def opens(client: Client, world: World) -> bool:
    """Say whether the browser's session opens a tenant."""
    return client.get(f"/{world.slug}/runs/").status_code == 200


def told(scope: UUID, like: str) -> list[tuple[str, str, str | None, Json]]:
    """Return (action, actor, subject, facts) of a journal's records of that kind."""
    with tenant_scope(scope), connection.cursor() as cursor:
        cursor.execute(
            "SELECT action, actor, subject, facts FROM audit_record "
            "WHERE tenant_id = %s AND action LIKE %s ORDER BY id",
            [scope, like],
        )
        return [tuple(row) for row in cursor.fetchall()]

"""Callers with API keys, and a server to call where it matters that it is one."""

import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest
import uvicorn
from django.test import Client

from tenants.actions import api_keys
from tenants.models import Role, Tenant, User
from tenants.principal import COMMAND, Principal
from tenants.scopes import SCOPES
from tests.agents.engine.conftest import driver, model_url, settles
from tests.db.conftest import superuser
from tests.worlds import World, world

__all__ = ["driver", "model_url", "settles", "superuser"]

Json = Any

#: What the roles' keys hold: everything but what only the command line gives.
ALL_SCOPES = tuple(scope for scope in SCOPES if scope != "admin")


class Answer:
    """What came back."""

    def __init__(self, response: Any) -> None:
        self.status: int = response.status_code
        self.headers = response.headers
        self.content: bytes = b"" if response.streaming else response.content

    @property
    def json(self) -> Json:
        """The body as JSON."""
        return json.loads(self.content)

    @property
    def code(self) -> str:
        """The problem's code."""
        assert self.headers["Content-Type"] == "application/problem+json", self.content
        assert self.json["status"] == self.status
        assert self.json.keys() - {"errors"} == {"type", "title", "status", "detail", "code"}
        code: str = self.json["code"]
        return code

    @property
    def pointers(self) -> list[str]:
        """Where the problem's errors point."""
        return [error["pointer"] for error in self.json["errors"]]


@dataclass
class Caller:
    """Somebody with a key (or none), at the interface."""

    principal: Principal | None
    key: str | None

    def __call__(self, method: str, path: str, body: Json = None, raw: bytes | None = None, **headers: Any) -> Answer:
        """Make a call; header names have underscores. raw: a body that `json` would not write."""
        sent = {"Accept": "application/json", **{name.replace("_", "-"): value for name, value in headers.items()}}
        if self.key is not None:
            sent.setdefault("Authorization", f"Bearer {self.key}")
        data = raw if raw is not None else b"" if body is None else json.dumps(body).encode()
        content_type = sent.pop("Content-Type", "application/json" if data else "")
        address = path if path.startswith("/api") else f"/api/v1/{path}"
        return Answer(Client(headers=sent).generic(method, address, data, content_type))

    def get(self, path: str, **headers: str) -> Answer:
        """Read."""
        return self("GET", path, None, None, **headers)

    def post(self, path: str, body: Json = None, **headers: str) -> Answer:
        """Do."""
        return self("POST", path, body, None, **headers)

    def put(self, path: str, body: Json = None, **headers: str) -> Answer:
        """Replace."""
        return self("PUT", path, body, None, **headers)


def caller(of: World, principal: Principal, *scopes: str) -> Caller:
    """Make a key for a member; without scopes it holds all."""
    tenant = Tenant.objects.get(id=of.tenant_id)
    email = User.objects.get(id=principal.user_id).email
    _, key = api_keys.create(
        tenant=tenant, name="test", scopes=scopes or ALL_SCOPES, member_email=email, acting_as=COMMAND
    )
    return Caller(principal, key)


def member(of: World, role: Role, name: str) -> Principal:
    """Add a member to a tenant."""
    from tenants.actions import members

    tenant = Tenant.objects.get(id=of.tenant_id)
    made = members.put(tenant=tenant, email=f"{name}@{of.slug}.example", role=role, acting_as=COMMAND)
    return Principal(of.tenant_id, made.user_id, role)


@pytest.fixture
def acme(database: None) -> World:
    """A fresh tenant."""
    return world()


@pytest.fixture
def alice(acme: World) -> Caller:
    """The tenant's operator."""
    return caller(acme, acme.alice)


@pytest.fixture
def bob(acme: World) -> Caller:
    """A viewer of the same tenant."""
    return caller(acme, acme.bob)


@pytest.fixture
def rita(acme: World) -> Caller:
    """A reviewer of the same tenant."""
    return caller(acme, acme.rita)


@pytest.fixture
def carol(database: None) -> Caller:
    """The operator of another tenant."""
    other = world()
    return caller(other, other.alice)


@pytest.fixture
def nobody() -> Caller:
    """A caller without a key."""
    return Caller(None, None)


@pytest.fixture
def echo(acme: World) -> str:
    """A published agent, by slug, that takes `{key}`."""
    schema = {"type": "object", "properties": {"key": {"type": "string"}}, "required": ["key"]}
    acme.define("echo", role="You echo.", input_schema=schema)
    return "echo"


def start(caller: Caller, agent: str = "echo", **more: Json) -> UUID:
    """Start a run and return its id."""
    answer = caller.post("runs", {"agent": agent, "input": {"key": "a"}, **more})
    assert answer.status == 202, answer.content
    return UUID(answer.json["id"])


@pytest.fixture(scope="session")
def server(django_db_setup: None) -> Iterator[tuple[str, int]]:
    """The ASGI application under uvicorn, in this process, on a free port; yields (host, port)."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        "config.asgi:application", log_config=None, lifespan="off", ws="none", timeout_graceful_shutdown=1
    )
    served = uvicorn.Server(config)
    thread = threading.Thread(target=served.run, kwargs={"sockets": [listener]})
    thread.start()
    yield listener.getsockname()
    served.should_exit = True
    thread.join()

"""People who sign in, and a browser."""

from functools import cache
from uuid import uuid4

import pytest
from django.contrib.auth.hashers import make_password
from django.core.cache import cache as attempts
from django.test import Client

from db.scope import tenant_scope
from tenants.models import User
from tests.worlds import VERDICT, World, world

PASSWORD = "a horse that signs twice"


@pytest.fixture
def acme(database: None) -> World:
    """A tenant with an agent, whose people can sign in."""
    return peopled()


@pytest.fixture
def globex(database: None) -> World:
    """Another tenant: its operator is the tests' Carol."""
    return peopled()


@pytest.fixture(autouse=True)
def _no_attempts_counted(request: pytest.FixtureRequest) -> None:
    if "database" in request.fixturenames:
        request.getfixturevalue("database")
        attempts.clear()


def peopled() -> World:
    """Make a tenant whose members have passwords, with one agent."""
    made = world()
    made.define("refund-desk", role="Refund desk", output_schema=VERDICT)
    with tenant_scope(made.tenant_id):
        for person in (made.alice, made.bob, made.rita):
            user = User.objects.get(id=person.user_id)
            user.password = hashed()
            user.save(update_fields=["password"])
    return made


@cache
def hashed() -> str:
    """Return the password's hash, which takes its time on purpose."""
    return make_password(PASSWORD)


def email(world: World, name: str) -> str:
    """Return a member's address."""
    return f"{name}@{world.slug}.example"


def signed_in(world: World, name: str) -> Client:
    """Return a client signed in as a member, through the sign-in page."""
    client = Client(REMOTE_ADDR=f"10.{uuid4().int % 250}.{uuid4().int % 250}.1")
    answer = client.post("/accounts/login/", {"login": email(world, name), "password": PASSWORD})
    assert answer.status_code == 302
    return client

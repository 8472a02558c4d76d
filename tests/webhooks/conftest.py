"""A tenant, and somebody outside who is told what happens in it."""

from collections.abc import Iterator
from typing import Any

import pytest

from agents.models import Run
from egress import installed
from tenants.models import Role
from tenants.principal import Principal
from tests.escalations.conftest import answers, drive
from tests.webhooks.receiver import Receiver, receiving
from tests.worlds import World, world


@pytest.fixture
def receiver(settings: Any) -> Iterator[Receiver]:
    """It may be reached although it is private."""
    with receiving() as made:
        settings.EGRESS_ALLOW = (made.place,)
        installed.client.cache_clear()
        yield made
    installed.client.cache_clear()


@pytest.fixture
def acme(database: None) -> World:
    """A fresh tenant with an agent that says one thing."""
    made = world()
    made.define("talker", role="You talk.")
    return made


@pytest.fixture
def olga(acme: World) -> Principal:
    """Its owner."""
    return acme.member("olga", Role.OWNER)


def talked(acme: World, **more: object) -> Run:
    """A run that ended."""
    run = acme.submit("talker", {}, **more)
    drive(run, answers(("end_turn", [{"type": "text", "text": "done"}])))
    return acme.run(run.id)

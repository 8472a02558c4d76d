"""A tenant for each test, and what drives its runs."""

import pytest

from agents.engine.driver import Driver
from tests.api.conftest import driver, model_url
from tests.api.scene import Scene, furnish
from tests.worlds import world

__all__ = ["driver", "model_url"]


@pytest.fixture
def scene(driver: Driver) -> Scene:
    """A tenant with one of everything, for one role to do with what it may."""
    return furnish(world())

"""The interface keeps to its OpenAPI document, whoever calls it with whatever: schemathesis, with each role's key."""

import os
from pathlib import Path

import pytest

from agents.engine.driver import Driver
from tenants.models import Role
from tests.api.conftest import driver, model_url
from tests.api.scene import Scene, furnish
from tests.conformance import runs
from tests.conformance.runs import Known, Told
from tests.worlds import world

__all__ = ["driver", "model_url"]

#: A run that failed is made again by the seed it names.
SEED = int(os.environ.get("CONFORMANCE_SEED", "20261122"))

ROLES = [*Role, None]


@pytest.fixture
def scene(driver: Driver) -> Scene:
    """A tenant with one of everything, for one role to do with what it may."""
    return furnish(world())


def tried(scene: Scene, role: Role | None, url: str, folder: Path, *, phases: str, examples: int) -> Told:
    """Call everything as a member of that role, whose key holds every scope, or as nobody."""
    key = scene.by_role[role].key if role else None
    digest = scene.by_role[Role.OWNER].get(f"escalations/{scene.ids['escalation_id']}").json["proposal"]["digest"]
    ids = {name.rpartition("/")[2]: value for name, value in scene.ids.items()}
    words = [f"bob@{scene.world.slug}.example", f"mia@{scene.world.slug}.example", digest, *ids.values()]
    return runs.run(url, key=key, known=Known(ids, words), folder=folder, phases=phases, examples=examples, seed=SEED)


def check(told: Told, role: Role | None, *, at_least: int) -> None:
    """Assert that nothing was amiss, and that what was tried was no empty show."""
    assert told.failures == "", f"seed {SEED}: {told.failures}"
    assert told.statuses.total() >= at_least
    assert {status for status in told.statuses if status >= 500 or status == 429} == set()
    succeeded = {status for status in told.statuses if status < 300}
    assert bool(succeeded) is (role is not None)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("role", ROLES)
def test_anything_sent_is_answered_as_described(
    scene: Scene, role: Role | None, web_server: str, tmp_path: Path
) -> None:
    told = tried(scene, role, web_server, tmp_path, phases="examples,fuzzing", examples=4)

    check(told, role, at_least=200)


@pytest.mark.timeout(600)
def test_every_bound_of_the_document_is_kept(scene: Scene, web_server: str, tmp_path: Path) -> None:
    told = tried(scene, Role.OWNER, web_server, tmp_path, phases="coverage", examples=4)

    check(told, Role.OWNER, at_least=800)


@pytest.mark.large
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("role", ROLES)
def test_much_more_is_answered_as_described(scene: Scene, role: Role | None, web_server: str, tmp_path: Path) -> None:
    told = tried(scene, role, web_server, tmp_path, phases="examples,coverage,fuzzing,stateful", examples=40)

    check(told, role, at_least=1500)

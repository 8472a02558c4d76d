"""Everything called with each role's key, and what must be found then."""

import os
from pathlib import Path

from tenants.models import Role
from tests.api.scene import Scene
from tests.conformance import runs
from tests.conformance.runs import Known, Told

#: A run that failed is made again by the seed it names.
SEED = int(os.environ.get("CONFORMANCE_SEED", "20261122"))

ROLES = [*Role, None]


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

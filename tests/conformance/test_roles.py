"""The interface keeps to its OpenAPI document, whoever calls it with whatever: schemathesis, with each role's key."""

from pathlib import Path

import pytest

from tenants.models import Role
from tests.api.scene import Scene
from tests.conformance.roles import check, tried

#: How often each operation is tried as whom: an owner may do everything, the other two hardly anything. All roles, who
#: are each refused most of it before anything is read, and many more tries are `test_roles_at_length`'s.
EXAMPLES: dict[Role | None, int] = {Role.OWNER: 4, Role.VIEWER: 1, None: 1}


@pytest.mark.timeout(600)
@pytest.mark.parametrize("role", EXAMPLES)
def test_anything_sent_is_answered_as_described(
    scene: Scene, role: Role | None, web_server: str, tmp_path: Path
) -> None:
    told = tried(scene, role, web_server, tmp_path, phases="examples,fuzzing", examples=EXAMPLES[role])

    check(told, role, at_least=100)


@pytest.mark.large
@pytest.mark.timeout(600)
def test_every_bound_of_the_document_is_kept(scene: Scene, web_server: str, tmp_path: Path) -> None:
    told = tried(scene, Role.OWNER, web_server, tmp_path, phases="coverage", examples=4)

    check(told, Role.OWNER, at_least=800)

"""The same as `test_roles`, of many more calls, and of calls that follow from others' answers."""

from pathlib import Path

import pytest

from tenants.models import Role
from tests.api.scene import Scene
from tests.conformance.roles import ROLES, check, tried


@pytest.mark.large
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("role", ROLES)
def test_much_more_is_answered_as_described(scene: Scene, role: Role | None, web_server: str, tmp_path: Path) -> None:
    told = tried(scene, role, web_server, tmp_path, phases="examples,coverage,fuzzing,stateful", examples=40)

    check(told, role, at_least=1500)

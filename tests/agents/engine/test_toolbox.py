"""What tools ask of the platform while its database is away."""

from typing import Any, NoReturn
from uuid import UUID

import pytest
from django.db import OperationalError

from agents.engine import claims, toolbox
from agents.tools.seam import PlatformAway
from tests.worlds import LOOKUP, World

NOBODY = UUID(int=0)


@pytest.mark.parametrize("ask", ["secret", "source"])
def test_a_database_that_is_away_is_not_said_to_have_no_such_secret(
    acme: World, monkeypatch: pytest.MonkeyPatch, ask: str
) -> None:
    def away(*_: Any) -> NoReturn:
        raise OperationalError

    acme.define("looker", role="You look keys up.", tool_specs={"lookup": LOOKUP})
    acme.submit("looker", {"a": "1"})
    with claims.claim("test", after=NOBODY) as claimed:
        assert claimed is not None
    context = toolbox.Context(claimed[1])
    with pytest.raises(LookupError):
        getattr(context, ask)("none")

    monkeypatch.setattr(toolbox, "tenant_scope", away)
    with pytest.raises(PlatformAway):
        getattr(context, ask)("none")

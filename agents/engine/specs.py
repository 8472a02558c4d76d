"""Versions never change, so what was made of one stays true: their specs, kept per process."""

from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from agents.core.spec import AgentSpec, agent_spec

_MOST = 500
_made: dict[UUID, AgentSpec] = {}


def is_known(version_id: UUID) -> bool:
    """Say whether the version's spec is at hand: one that this process has read, and survived."""
    return version_id in _made


def spec_of(version_id: UUID, compiled: Callable[[], Mapping[str, Any]]) -> AgentSpec:
    """Return a version's spec; `compiled` is asked for its stored JSON only when it is not at hand."""
    spec = _made.get(version_id)
    if spec is None:
        spec = _made[version_id] = agent_spec(compiled())
        while len(_made) > _MOST:
            _made.pop(next(iter(_made)), None)
    return spec

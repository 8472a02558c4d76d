"""What decides on calls at one moment: what those a run acts for hold of its tools, and the tenant's policies. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from agents.core import rules
from agents.core.children import NOBODY, Callees
from agents.core.policies import NONE, Policies

Json = Any

_NOBODY: Final = UUID(int=0)


@dataclass(frozen=True, slots=True)
class Holding:
    """What one principal holds of one tool.

    always: by role, or by a grant without condition. conditions: CEL by the id of the grant that it is on.
    principal: what conditions may speak of, `{id, email, role, teams}`.
    """

    always: bool
    conditions: Mapping[str, str] = field(default_factory=dict)
    principal: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Proof:
    """Why a call is allowed to one principal. by_grant: the grant whose condition is true; None when it has none."""

    holder: UUID
    tool: UUID
    by_grant: str | None = None
    condition: str | None = None
    principal: Mapping[str, Json] | None = None


@dataclass(frozen=True, slots=True)
class Holdings:
    """principals: all that the call is made for; each must hold the tool. held: by (principal, tool).

    active: who of them is an active member of the tenant. policies: the tenant's. facts: what conditions may speak of
    as `principal`, of the first of them; None when nothing asked for it. callees: the agents that calls are of.
    """

    principals: tuple[UUID, ...]
    active: frozenset[UUID]
    held: Mapping[tuple[UUID, UUID], Holding]
    policies: Policies = NONE
    facts: Mapping[str, Json] | None = None
    callees: Callees = NOBODY

    @classmethod
    def assumed(cls, tools: Iterable[UUID], policies: Policies = NONE) -> "Holdings":
        """Return holdings of everything, to plan with what is checked later."""
        held = {(_NOBODY, tool): Holding(always=True) for tool in tools}
        return cls((_NOBODY,), frozenset({_NOBODY}), held, policies)

    @classmethod
    def none(cls, principals: tuple[UUID, ...], policies: Policies = NONE) -> "Holdings":
        """Return holdings of nothing, of active members."""
        return cls(principals, frozenset(principals), {}, policies)

    @property
    def gone(self) -> bool:
        """Whether one of the principals is no active member any more."""
        return not self.active.issuperset(self.principals)

    def always(self, tool: UUID) -> bool:
        """Say whether the tool may be used whatever the arguments."""
        return all(holding is not None and holding.always for holding in self._of(tool))

    def ever(self, tool: UUID) -> bool:
        """Say whether there may be arguments that the tool may be used with."""
        return all(holding is not None and (holding.always or holding.conditions) for holding in self._of(tool))

    def proofs(self, tool: UUID, arguments: Json) -> list[Proof] | None:
        """Return why everyone may use the tool with these arguments; None when somebody may not."""
        found = [self._proof(principal, tool, arguments) for principal in self.principals]
        proofs = [proof for proof in found if proof is not None]
        return proofs if len(proofs) == len(found) else None

    def _of(self, tool: UUID) -> list[Holding | None]:
        return [self.held.get((principal, tool)) for principal in self.principals]

    def _proof(self, principal: UUID, tool: UUID, arguments: Json) -> Proof | None:
        holding = self.held.get((principal, tool))
        if holding is None:
            return None
        if holding.always:
            return Proof(principal, tool)
        values = {"args": arguments, "principal": holding.principal}
        for grant, condition in sorted(holding.conditions.items()):
            if rules.holds(condition, rules.GRANT, values):
                return Proof(principal, tool, grant, condition, holding.principal)
        return None

"""Tell a run something while it goes on."""

from typing import Final
from uuid import UUID

from access import grants, permissions
from access.errors import MissingGrant
from agents.actions import runs
from agents.core.events import RunGuided
from agents.errors import GuidanceMissing
from agents.models import Run
from db.scope import tenant_scope
from tenants.principal import Principal

#: The longest message, in characters.
LONGEST: Final = 20_000


def guide(run_id: UUID, message: str, *, acting_as: Principal) -> Run:
    """Tell the run `message`; it reaches the model before its next call, and wakes nobody who waits.

    Takes who may start runs of the agent, or may review it. Raises `UnknownRun`, `AccessDenied`, `MissingGrant`,
    `RunEnded`, `GuidanceMissing`, in this order.
    """
    with tenant_scope(acting_as.tenant_id):
        run = runs.locked(run_id)
        check(run, acting_as=acting_as)
        runs.check_open(run)
        if not message.strip() or len(message) > LONGEST:
            raise GuidanceMissing
        runs.append(run, [RunGuided(by=acting_as.actor, message=message)], acting_as.actor)
        return run


def check(run: Run, *, acting_as: Principal) -> None:
    """Raise `AccessDenied` or `MissingGrant` unless they may tell the run something; in its tenant's scope."""
    may_review = permissions.can(acting_as, "escalations:decide") and not acting_as.is_service
    if may_review and grants.held(acting_as, "review", run.agent):
        return
    permissions.check(acting_as, "runs:write")
    if not grants.held(acting_as, "run", run.agent):
        raise MissingGrant("You may neither start runs of this agent nor review it.")

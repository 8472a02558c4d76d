"""Tell a run something while it goes on."""

from typing import Any, Final
from uuid import UUID

from access import grants, permissions
from access.errors import MissingGrant
from agents.actions import runs
from agents.actions.versions import spec_of_run
from agents.core.events import RunGuided
from agents.core.screening import recorded, screened, words
from agents.errors import GuidanceMissing, InputRefused
from agents.models import Run
from db.scope import tenant_scope
from tenants.principal import Principal

#: The longest message, in characters.
LONGEST: Final = 20_000


def guide(run_id: UUID, message: str, *, acting_as: Principal) -> Run:
    """Tell the run `message`; it reaches the model before its next call, and wakes nobody who waits.

    Takes who may start runs of the agent, or may review it. Raises `UnknownRun`, `AccessDenied`, `MissingGrant`,
    `RunEnded`, `GuidanceMissing`, `InputRefused`, in this order.
    """
    with tenant_scope(acting_as.tenant_id):
        run = runs.locked(run_id)
        check(run, acting_as=acting_as)
        runs.check_open(run)
        if not message.strip() or len(message) > LONGEST:
            raise GuidanceMissing
        fields = _screened(run, message)
        runs.append(run, [RunGuided(by=acting_as.actor, message=message, **fields)], acting_as.actor)
        return run


def check(run: Run, *, acting_as: Principal) -> None:
    """Raise `AccessDenied` or `MissingGrant` unless they may tell the run something; in its tenant's scope."""
    may_review = permissions.can(acting_as, "escalations:decide") and not acting_as.is_service
    if may_review and grants.held(acting_as, "review", run.agent):
        return
    permissions.check(acting_as, "runs:write")
    if not grants.held(acting_as, "run", run.agent):
        raise MissingGrant("You may neither start runs of this agent nor review it.")


def _screened(run: Run, message: str) -> dict[str, Any]:
    """Return what the record keeps of what the agent's guards found in the message, which is input like any other.

    Raises `InputRefused` for what they refuse, and for what they ask a person about: a person has just said it.
    """
    screen = spec_of_run(run).input_screen
    if screen is None:
        return {}
    verdict = screened(message, screen)
    found = dict.fromkeys(words(hit) for then in ("refuse", "escalate") for hit in verdict.told(then))
    if refused := [why for _, why in verdict.wrong] + [f"This holds {each}; say it without." for each in found]:
        errors = [{"pointer": "/message", "detail": why} for why in refused]
        facts = {"agent": str(run.agent_id), "version": run.version.number, "run": str(run.id), **recorded(verdict)}
        raise InputRefused(errors=errors, facts=facts | {"guard": list(verdict.counts)})
    return recorded(verdict)

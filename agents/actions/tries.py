"""Try a tool: one call for the one who asks, on the path that a run's calls take, but for the run."""

import json
import threading
import time
from dataclasses import dataclass, replace
from typing import Any, Final
from uuid import UUID

from django.db import connection

from access.acting import acting
from access.errors import MissingGrant
from agents.actions import tools
from agents.core import document
from agents.core.approvals import IRREVERSIBLE, demanded
from agents.core.exact import enclose, enclosed_text
from agents.core.holdings import Holding, Holdings
from agents.core.policies import Policies, policy
from agents.core.spec import AgentSpec, ToolSpec, tool_spec
from agents.core.state import RunState
from agents.engine import statements, toolbox
from agents.engine.toolbox import registry
from agents.errors import (
    ConfirmationRequired,
    DeniedByPolicy,
    InvalidArguments,
    NeedsApproval,
    TooManyTries,
    UnknownTool,
)
from agents.models import Policy
from agents.tools.guarding import in_place
from agents.tools.perform import perform
from agents.tools.seam import Failed, Finished, NoLongerOurs, Outcome, ToolCall, unclear
from audit import journal
from db.models import new_id
from tenants.principal import Principal

Json = Any

#: Seconds for one attempt at most, and after which none is made any more: somebody waits for the answer.
LONGEST_S: Final = 60.0

#: Tries that may be under way in a process: each holds a thread that requests could be answered with.
AT_ONCE: Final = 8
_places = threading.BoundedSemaphore(AT_ONCE)


#: Who makes the call, to policies: no agent. Those that name agents say nothing of it.
_NO_AGENT: Final = AgentSpec(
    agent_id=UUID(int=0),
    slug="",
    version=0,
    system="",
    model="",
    max_tokens=0,
    effort=None,
    tools={},
    escalates=False,
    input_schema=None,
    output_schema=None,
)


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of a try. id: of this try; version: of the tool's definition."""

    id: UUID
    version: int
    outcome: Outcome


def make(name: str, arguments: Json, *, confirm: bool = False, acting_as: Principal) -> Tried:
    """Call the tool `name` once for `acting_as`; what comes of it is the answer, also a failure of the tool.

    The intent is committed before the call (`tool.try_begun`) and what came of it after it (`tool.tried`), so that it
    must be called outside any transaction. confirm: that an irreversible effect is meant.
    Raises `UnknownTool`, `MissingGrant`, `DeniedByPolicy`, `NeedsApproval`, `InvalidArguments`, `ConfirmationRequired`,
    `TooManyTries`, and what `acting` raises for `tools:write`.
    """
    if connection.in_atomic_block:
        raise RuntimeError("A try commits its intent before the call: it cannot be a part of a transaction.")
    if not _places.acquire(blocking=False):
        raise TooManyTries
    try:
        trial = new_id()
        tool = _begun(trial, name, arguments, confirm=confirm, acting_as=acting_as)
        outcome = _performed(trial, tool, arguments, acting_as)
        _ended(trial, tool, outcome, acting_as)
        return Tried(trial, tool.version, outcome)
    finally:
        _places.release()


def became(outcome: Outcome) -> str:
    """Return what the API and the record call an outcome: `finished`, `failed`, `unknown`."""
    if isinstance(outcome, Finished):
        return "finished"
    return "failed" if isinstance(outcome, Failed) and not outcome.maybe_done else "unknown"


def _begun(trial: UUID, name: str, arguments: Json, *, confirm: bool, acting_as: Principal) -> ToolSpec:
    """Check the call and commit its intent."""
    try:
        with acting(acting_as, "tools:write") as actor:
            tool = _live(name)
            _check(trial, tool, arguments, _holdings(tool, acting_as), confirm=confirm)
            facts = {"try": str(trial), "version": tool.version, "confirmed": confirm}
            journal.record(
                "tool.try_begun", stream=tool.id, actor=actor, facts=facts, payload={"arguments": enclose(arguments)}
            )
            return tool
    finally:
        connection.close()  # nobody holds one while the tool works


def _live(name: str) -> ToolSpec:
    tool = tools.by_name(name)
    if tool.live is None:
        raise UnknownTool(f"The tool {name} has no definition.")
    return tool_spec(
        {
            "id": str(tool.id),
            "name": tool.name,
            "version": tool.live.number,
            "digest": tool.live.digest,
            "document": document.tool_document(tool.name, tool.live.document),
            "offered": True,
        }
    )


def _holdings(tool: ToolSpec, principal: Principal) -> Holdings:
    """Return what the one who asks holds of the tool at this moment, and the tenant's policies."""
    who = principal.user_id
    wanted: dict[str, Any] = {
        "objects": [tool.id],
        "tenant": principal.tenant_id,
        "users": [who],
        "permission": "use",
        "facts": True,
    }
    with connection.cursor() as cursor:
        cursor.execute(statements.HOLDINGS, wanted)
        rows = cursor.fetchall()
    held = {
        (user, each): Holding(always, json.loads(conditions or "{}"), json.loads(facts or "{}"))
        for user, each, always, conditions, facts in rows
    }
    own = json.loads(rows[0][4]) if rows and rows[0][4] is not None else None
    current = Policies(each=tuple(policy(row.name, row.document) for row in Policy.objects.order_by("name")))
    return Holdings((who,), frozenset(row[0] for row in rows), held, current, own)


def _check(trial: UUID, tool: ToolSpec, arguments: Json, held: Holdings, *, confirm: bool) -> None:
    if held.gone or not held.ever(tool.id):
        raise MissingGrant(f"You may not use {tool.name}.", permission="use")
    wrong = [
        {"pointer": f"/arguments{problem.pointer}", "detail": problem.message} for problem in tool.faults(arguments)
    ]
    if wrong:
        raise InvalidArguments(f"The arguments of {tool.name} are not valid.", errors=wrong)
    if held.proofs(tool.id, arguments) is None:
        raise MissingGrant(f"You may not use {tool.name} with these arguments.", permission="use")
    demand = demanded(RunState(trial), _NO_AGENT, tool, arguments, held)
    if demand is not None and demand.denied:
        raise DeniedByPolicy(f"This call of {tool.name} is not allowed ({demand.rule}).")
    if demand is not None and demand.rules != (IRREVERSIBLE,):
        raise NeedsApproval(f"People approve this call ({demand.rule}); start a run that makes it.")
    if tool.effect == "irreversible" and not confirm:
        raise ConfirmationRequired


def _performed(trial: UUID, tool: ToolSpec, arguments: Json, acting_as: Principal) -> Outcome:
    until = time.monotonic() + LONGEST_S
    definition = replace(tool.definition, timeout_s=min(tool.definition.timeout_s, LONGEST_S))
    context = toolbox.TryContext(acting_as.tenant_id, acting_as.user_id, until=until)
    call = ToolCall(definition, arguments, f"try-{trial}")
    begun = False

    def made() -> Outcome:
        nonlocal begun
        begun = True
        return perform(call, context, registry=registry(), may_go_on=lambda: time.monotonic() < until)

    try:
        # Past the cache and the breaker: who tries wants to know what the tool does now, also whether it works again.
        return made() if tool.guards is None else in_place(tool, tool.guards, call, context, made)
    except NoLongerOurs:
        told = f"The platform's own database kept the try waiting for {LONGEST_S:g} seconds."
        failed = Failed("busy", told, retryable=True)
        return unclear(definition, failed) if begun else failed


def _ended(trial: UUID, tool: ToolSpec, outcome: Outcome, acting_as: Principal) -> None:
    """Commit what came of it."""
    facts: dict[str, Json] = {"try": str(trial), "version": tool.version, "became": became(outcome)}
    payload: dict[str, Json]
    if isinstance(outcome, Finished):
        payload = {"result": enclose(outcome.result)}
        payload |= {} if outcome.whole is None else {"whole": enclosed_text(outcome.whole)}
    else:
        payload = {"error": outcome.message}
        facts |= {"code": outcome.code} if isinstance(outcome, Failed) else {}
    try:
        with acting(acting_as) as actor:
            journal.record(
                "tool.tried",
                stream=tool.id,
                actor=actor,
                facts=facts,
                payload=payload,
                outcome="ok" if isinstance(outcome, Finished) else "failed",
            )
    finally:
        connection.close()

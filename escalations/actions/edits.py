"""What a person puts in place of a call's arguments, or of an amount; a call's are checked again when it is made."""

from collections.abc import Mapping, Sequence
from typing import Any

from access import permissions
from agents.actions import histories
from agents.actions.versions import spec_of_run
from agents.core.budgets import amount_problems
from agents.core.confirming import written
from agents.core.money import from_usd
from agents.core.schema import Problem
from agents.core.state import BUDGET_EXHAUSTED
from agents.errors import InvalidArguments, InvalidOutput
from agents.models import Run
from audit import journal
from escalations.errors import AnswerNotAllowed, MayNotDecide
from escalations.models import Escalation
from tenants.principal import Principal

Json = Any


def check(run: Run, escalation: Escalation, arguments: Json, output: Json, *, acting_as: Principal) -> None:
    """Raise `InvalidArguments` unless the tool that the question is about takes these; `AnswerNotAllowed` for no call.

    Of an output's question, `InvalidOutput` unless `output` is one that the agent may give: schema and rules.

    Of a budget's question they are the amounts to add. Raises `MayNotDecide` when they are more of a budget that others
    share than was proposed, for who may not write budgets.

    Says what is wrong while the person is there. Grants, conditions and policies are asked when the call is made.
    """
    if escalation.kind == "output":
        _check_output(run, output)
        return
    proposal = _proposal(escalation)
    if escalation.kind == "budget":
        proposed = proposal.get("arguments") or {}
        _refuse(amount_problems(proposed, arguments), "These amounts cannot be added.")
        if escalation.reason == BUDGET_EXHAUSTED and not permissions.can(acting_as, "agents:write"):
            _check_no_more(proposed, arguments)
        return
    tool = spec_of_run(run).tools.get(str(proposal.get("tool")))
    if tool is None:
        raise AnswerNotAllowed("This question is about no call of a tool whose arguments could be changed.")
    _refuse(tool.faults(arguments), f"{tool.name} does not take these arguments.")


def _check_output(run: Run, output: Json) -> None:
    judgement, _, code = written(spec_of_run(run), histories.state_of(run), output)
    if code is None:
        return
    wrong = judgement.problems
    listed = [{"pointer": f"/output{each.pointer}", "detail": each.message} for each in wrong]
    raise InvalidOutput(f"The agent may not give this output. {wrong[0].message}", errors=listed)


def _check_no_more(proposed: Mapping[str, Json], given: Mapping[str, Json]) -> None:
    more = from_usd(given.get("usd") or 0) > from_usd(proposed.get("usd") or 0)
    if more or (given.get("tokens") or 0) > (proposed.get("tokens") or 0):
        raise MayNotDecide("Adding more to a budget than is proposed takes who may write budgets.")


def _refuse(wrong: Sequence[Problem], detail: str) -> None:
    if wrong:
        listed = [{"pointer": f"/arguments{each.pointer}", "detail": each.message} for each in wrong]
        raise InvalidArguments(f"{detail} {wrong[0].message}", errors=listed)


def _proposal(escalation: Escalation) -> Mapping[str, Json]:
    asked = journal.payloads_at([(escalation.run_id, escalation.seq)])
    proposal: Mapping[str, Json] = (asked.get((escalation.run_id, escalation.seq)) or {}).get("proposal") or {}
    return proposal

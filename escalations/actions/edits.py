"""What a person puts in place of a call's arguments: looked at before it is taken, checked again at the call."""

from typing import Any

from agents.actions.versions import spec_of_run
from agents.core.exact import is_interoperable
from agents.core.schema import problems
from agents.models import Run
from audit import journal
from escalations.errors import AnswerNotAllowed, BadArguments
from escalations.models import Escalation

Json = Any


def check(run: Run, escalation: Escalation, arguments: Json) -> None:
    """Raise `BadArguments` unless the tool that the question is about takes these; `AnswerNotAllowed` for no call.

    Says what is wrong while the person is there. Grants, conditions and policies are asked when the call is made.
    """
    tool = spec_of_run(run).tools.get(_tool(escalation))
    if tool is None:
        raise AnswerNotAllowed("This question is about no call of a tool whose arguments could be changed.")
    wrong = problems(tool.arguments, arguments)
    if not wrong and not is_interoperable(arguments):
        raise BadArguments("A number is beyond 2^53 - 1 (write it as a string), or the nesting is too deep.")
    if wrong:
        listed = [{"pointer": f"/arguments{each.pointer}", "detail": each.message} for each in wrong]
        raise BadArguments(f"{tool.name} does not take these arguments. {wrong[0].message}", errors=listed)


def _tool(escalation: Escalation) -> str:
    asked = journal.payloads_at([(escalation.run_id, escalation.seq)])
    proposal = (asked.get((escalation.run_id, escalation.seq)) or {}).get("proposal") or {}
    return str(proposal.get("tool"))

"""Errors of agents, tools and runs."""

from collections.abc import Sequence
from typing import Any, ClassVar

from db.errors import Refusal


class AgentError(Refusal):
    """The agent, tool or run is not as asked for.

    errors: `[{pointer, detail}]`, one for each thing wrong with what was given; empty when there is no more to say.
    """

    code = "agent"

    def __init__(self, detail: str | None = None, *, errors: Sequence[dict[str, str]] = ()) -> None:
        super().__init__(detail)
        self.errors = list(errors)


class UnknownAgent(AgentError):
    """There is no such agent."""

    code = "unknown_agent"
    status = 404


class UnknownVersion(AgentError):
    """The agent has no such version."""

    code = "unknown_version"
    status = 404


class UnknownTool(AgentError):
    """There is no such tool."""

    code = "unknown_tool"
    status = 404


class UnknownPolicy(AgentError):
    """There is no such policy."""

    code = "unknown_policy"
    status = 404


class UnknownSource(AgentError):
    """There is no such data source."""

    code = "unknown_source"
    status = 404


class UnknownMcpServer(AgentError):
    """There is no such MCP server."""

    code = "unknown_mcp_server"
    status = 404


class McpServerInUse(AgentError):
    """A tool is on that MCP server; define the tool otherwise first."""

    code = "mcp_server_in_use"
    status = 409


class McpServerFailed(AgentError):
    """The MCP server did not say which tools it has."""

    code = "mcp_server_failed"
    status = 409


class UnknownBudget(AgentError):
    """There is no such budget."""

    code = "unknown_budget"
    status = 404


class InvalidDocument(AgentError):
    """The document is not valid."""

    code = "invalid_document"


class ToolBreaks(InvalidDocument):
    """Policies or grants speak of arguments that the tool would no longer take; change those first."""

    code = "tool_breaks"
    status = 409


class BadCondition(AgentError):
    """The condition does not fit the tool's arguments, or is none."""

    code = "bad_condition"


class ChangedMeanwhile(AgentError):
    """Somebody changed it since you read it; read it again, then repeat your change."""

    code = "changed_meanwhile"
    status = 412


class NothingToPublish(AgentError):
    """The agent has no draft and no version."""

    code = "nothing_to_publish"
    status = 409


class NothingToRollBackTo(AgentError):
    """No other version was live before this one; publish a version by its number instead."""

    code = "nothing_to_roll_back_to"
    status = 409


class NotAvailable(AgentError):
    """That is not available in this version."""

    code = "not_available"


class UnknownRun(AgentError):
    """There is no such run."""

    code = "unknown_run"
    status = 404


class NotPublished(AgentError):
    """The agent has no published version; publish one first."""

    code = "not_published"
    status = 409


class AgentStopped(AgentError):
    """The agent was stopped and takes no new runs; whoever may edit it can let it go on."""

    code = "agent_stopped"
    status = 409


class AlreadyStopped(AgentError):
    """The agent is stopped already; what you wrote was not kept."""

    code = "already_stopped"
    status = 409


class AgentNotStopped(AgentError):
    """The agent is not stopped: its runs are ended together only then. Stop it first, or end one run by itself."""

    code = "agent_not_stopped"
    status = 409


class StopReasonMissing(AgentError):
    """Say why the agent is stopped, in 1,000 characters at most: the reason is kept in the audit trail."""

    code = "stop_reason_missing"


class InvalidInput(AgentError):
    """The input does not fit the agent's input schema."""

    code = "invalid_input"


class IdempotencyMismatch(AgentError):
    """This idempotency key was used with another body; use a new key for a new request."""

    code = "idempotency_mismatch"


class RunEnded(AgentError):
    """The run has ended already."""

    code = "run_ended"
    status = 409


class InvalidArguments(AgentError):
    """The arguments do not fit the tool's input schema."""

    code = "invalid_arguments"


class DeniedByPolicy(AgentError):
    """A policy does not let this call be made."""

    code = "denied_by_policy"
    status = 409


class NeedsApproval(AgentError):
    """People approve this call; start a run that makes it."""

    code = "needs_approval"
    status = 409


class ConfirmationRequired(AgentError):
    """What this tool does cannot be undone; write `"confirm": true` to have it done."""

    code = "confirmation_required"


class TooManyTries(AgentError):
    """Too many tools are being tried at the moment; try again shortly."""

    code = "too_many_tries"
    status = 429
    retryable = True


class InputRefused(AgentError):
    """The input holds what this agent takes from nobody.

    action, facts: what the journal is told of it; the input itself is kept nowhere.
    """

    code = "input_refused"
    action: ClassVar[str] = "input.refused"

    def __init__(self, *, errors: Sequence[dict[str, str]], facts: dict[str, Any]) -> None:
        super().__init__(errors=errors)
        self.facts = facts


class TooManySubjects(AgentError):
    """The input is about more people than one run may be: submit it in parts."""

    code = "too_many_subjects"


class HistoryErased(AgentError):
    """A part of what happened in this run was erased, so that nothing can be made of it any more."""

    code = "history_erased"
    status = 409


class GuidanceMissing(AgentError):
    """Write what the run is to be told: 1 to 20,000 characters."""

    code = "guidance_missing"


class InvalidOutput(AgentError):
    """The agent may not give this output."""

    code = "invalid_output"


class RunNotEnded(AgentError):
    """The run goes on; this is for one that has ended."""

    code = "run_not_ended"
    status = 409


class PartOfAnother(AgentError):
    """This run is a part of another one; try that one again."""

    code = "part_of_another"
    status = 409


class NothingToCarryOn(AgentError):
    """There is no step to carry on from; try the run again from the start."""

    code = "nothing_to_carry_on"
    status = 409

"""The seam between the engine and the tool kinds.

The engine has validated the arguments, checked the grant and made the intent durable before `ToolKind.call`; a kind
only performs the effect and says truthfully what came of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol
from uuid import UUID

Json = Any


@dataclass(frozen=True, slots=True)
class ToolDefinition:
    """An immutable version of a tool, as its YAML `spec` has it.

    kind: `http`, `python`, `sql`, …; config: the block of that name.
    effect: `read`, `write` or `irreversible`. timeout_s: seconds one attempt may take.
    attempts, backoff_s: attempts in all, and the pause before the second in seconds (doubling, jittered).
    """

    name: str
    version: int
    kind: str
    config: Mapping[str, Json]
    description: str = ""
    input_schema: Mapping[str, Json] | None = None
    output_schema: Mapping[str, Json] | None = None
    examples: tuple[Mapping[str, Json], ...] = ()
    effect: str = "read"
    idempotent: bool = False
    timeout_s: float = 30.0
    attempts: int = 1
    backoff_s: float = 0.5
    fallback: str | None = None


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One call to perform. The idempotency key names (run, turn, call) and is the same on every repetition."""

    definition: ToolDefinition
    arguments: Mapping[str, Json]
    idempotency_key: str


@dataclass(frozen=True, slots=True)
class Finished:
    """The tool did its work; `result` is JSON.

    truncated: the result was larger than the model is shown; what is left says so to the model. whole: all of it, for
        people, as JSON text: nobody takes it apart again; None when `result` is whole, or it was too large for them.
    from_cache: it did the work for an equal call, whose result this is.
    """

    result: Json
    truncated: bool = False
    whole: str | None = field(default=None, repr=False)
    from_cache: bool = False


@dataclass(frozen=True, slots=True)
class Failed:
    """The tool surely did not do its work, or said so, unless `maybe_done`; `message` is shown to the model.

    code: stable: `http_status`, `timeout`, `egress_denied`, `unreachable`, `too_large`, `bad_result`, `raised`,
        `sql_error`, `not_read_only`, `misconfigured`, `bad_arguments`, `busy`, `auth_failed`, `circuit_open`,
        `definition_changed`, `unknown_tool`, `tool_error`.
    retryable: whether the same call may succeed later. retry_after_s: the seconds that the other side asks for first.
    maybe_done: only for idempotent writes: no clear answer came to this attempt, so it may have had its effect; the
        same call with the same key finds out.
    """

    code: str
    message: str
    retryable: bool = False
    maybe_done: bool = False
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class OutcomeUnknown:
    """The call was sent and no clear answer came: it may or may not have had its effect.

    code: why there is none, as of `Failed`; empty when the other side gave none.
    """

    message: str
    code: str = field(default="", compare=False)


Outcome = Finished | Failed | OutcomeUnknown


@dataclass(frozen=True, slots=True)
class DataSource:
    """Where an `sql` tool reads. engine: `postgresql` or `sqlite`; url: with its credentials, never shown."""

    engine: str
    url: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class McpServer:
    """Where tools of type mcp are. transport: `stdio` (command) or `http` (url, headers).

    headers: as documents have them, `secret:NAME` included, or with secrets put in; never shown.
    """

    name: str
    transport: str
    command: tuple[str, ...] = ()
    url: str = ""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


class NoLongerOurs(Exception):
    """The run is another worker's, or about to be: no effect of it may be begun here."""


class PlatformAway(Exception):
    """The platform's own database does not answer for now: what was asked of it can be asked again."""


class ToolContext(Protocol):
    """What a kind may ask of the platform while it performs a call.

    A kind never sees `PlatformAway`: `perform` stands between the two and asks again for as long as the run is ours.
    What was raised to a kind as `NoLongerOurs` it lets through; the attempt has no outcome then, whatever it returns.
    """

    tenant_id: UUID
    run_id: UUID | None
    principal_id: UUID

    def secret(self, name: str) -> str:
        """Return the secret's value; raises `LookupError` when the tenant has none of that name.

        Besides: `PlatformAway` (of the engine's context), `NoLongerOurs` (of that of a kind).
        """

    def source(self, name: str) -> DataSource:
        """Return the data source; raises as `secret` does."""

    def conceal(self, value: str) -> None:
        """Take this value out of whatever the call gives back, too: a secret that was made from one, or got for one."""

    def mcp_server(self, name: str) -> McpServer:
        """Return the MCP server as its document has it; raises as `secret` does."""

    def mcp_changed(self, server: str, tool: str, sha256: str) -> None:
        """Write down that the server defines the tool by that hash now, not by the pinned one; raises likewise."""

    def begin(self) -> None:
        """Raise `NoLongerOurs` when the effect may not be begun any more.

        For a kind to ask with everything at hand, the connection included, just before the first byte goes out.
        """


@dataclass(frozen=True, slots=True)
class ConfigProblem:
    """A fault in a tool's configuration: JSON pointer into the kind's block, and what to do about it."""

    pointer: str
    detail: str


class ToolKind(Protocol):
    """A kind of tool. To add one: a folder here with a class of this shape, and a line in `registry.py`.

    What has an effect asks `ToolContext.begin` first.

    bounds_itself: whether `call` surely ends soon after `timeout_s`; otherwise `perform` runs it in a pooled thread and
        abandons it when its time is up.
    """

    bounds_itself: bool

    def problems(self, definition: ToolDefinition) -> list[ConfigProblem]:
        """Check a definition when it is saved: no network, no secrets."""

    def call(self, call: ToolCall, context: ToolContext) -> Outcome:
        """Perform one attempt within `timeout_s`. Never raises for what the outside does.

        A message is told whole: `perform` takes secrets out of it before it cuts it, and a half would not be found.
        """


def may_repeat(definition: ToolDefinition) -> bool:
    """Whether the same call may be sent again without a second effect."""
    return definition.effect == "read" or definition.idempotent


def unclear(definition: ToolDefinition, failed: Failed) -> Outcome:
    """Return what an attempt's failure is that may have come behind its effect."""
    if definition.effect == "read":
        return failed
    if may_repeat(definition):
        return replace(failed, retryable=True, maybe_done=True)
    return OutcomeUnknown(failed.message, failed.code)

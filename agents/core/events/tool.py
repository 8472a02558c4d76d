"""Calls of tools."""

from dataclasses import dataclass

from agents.core.events.event import Event, Json


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolRequested(Event):
    """The intent to call a tool, durable before the effect: checked, granted and, if need be, approved."""

    action = "tool.requested"
    erasable = frozenset({"arguments", "digest"})
    turn: int
    call: int
    call_id: str
    tool: str
    version: int
    idempotency_key: str
    arguments: Json
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolDenied(Event):
    """The call was not made. code: `unknown_tool`, `invalid_arguments`, `not_granted`, `policy`, …"""

    action = "tool.denied"
    outcome = "denied"
    erasable = frozenset({"error"})
    turn: int
    call: int
    call_id: str
    tool: str
    code: str
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolFinished(Event):
    """The tool answered. untrusted: whether this taints the run; private: whether it is marked so (both also below).

    whole: all of a result that was cut, for people; it is left out when a run is loaded. from_cache: an equal call
    answered before, whose result was kept.
    """

    action = "tool.finished"
    erasable = frozenset({"result", "whole"})
    turn: int
    call: int
    call_id: str
    tool: str
    version: int
    result: Json
    whole: Json = None
    untrusted: bool | None = None
    private: bool | None = None
    from_cache: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolFailed(Event):
    """The tool failed. fallback: the tool that is tried in its place, if any."""

    action = "tool.failed"
    outcome = "failed"
    erasable = frozenset({"error"})
    turn: int
    call: int
    call_id: str
    tool: str
    version: int
    code: str
    error: str
    fallback: str | None = None
    untrusted: bool | None = None
    private: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolUnknown(Event):
    """Nobody knows whether the call had its effect; a person must say."""

    action = "tool.unknown"
    outcome = "failed"
    erasable = frozenset({"error"})
    turn: int
    call: int
    call_id: str
    tool: str
    version: int
    error: str
    untrusted: bool | None = None
    private: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCompensated(Event):
    """What a call did was undone. call_id: of that call; tool, version: of the tool that undid it. whole: see there."""

    action = "tool.compensated"
    erasable = frozenset({"result", "whole"})
    turn: int
    call: int
    call_id: str
    tool: str
    version: int
    result: Json
    whole: Json = None

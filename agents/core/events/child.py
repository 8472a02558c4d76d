"""Runs that calls of agents start."""

from dataclasses import dataclass

from agents.core.events.event import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildStarted(Event):
    """A tool call started a run of another agent, in the transaction that records the call's intent.

    run, agent, version: of the child. usd_nano, tokens: what is set aside for it of what this run may spend. place,
    round: in a debate, which of its agents it is of, from 0, and the round, from 1. reverses: the child that it undoes.
    """

    action = "child.started"
    run: str
    agent: str
    version: int
    turn: int
    call: int
    usd_nano: int
    tokens: int
    place: int = 0
    round: int = 1
    reverses: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildFinished(Event):
    """A child has ended. status: how. cost_nano: all that it cost, its own children included.

    usd_nano, tokens: what of it counts on this run: no more than was set aside; the rest a person added to the child,
    and it is settled there. What follows is what it used in all. untrusted, private: what it had read. undoable: how
    many of its calls can be undone.
    """

    action = "child.finished"
    run: str
    agent: str
    turn: int
    call: int
    status: str
    cost_nano: int
    usd_nano: int
    tokens: int
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_input_tokens: int = 0
    cache_creation_input_tokens: int = 0
    model_calls: int = 0
    tool_calls: int = 0
    untrusted: bool | None = None
    private: bool | None = None
    undoable: int | None = None

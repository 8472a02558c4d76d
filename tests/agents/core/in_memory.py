"""An engine in memory: rows with journals, leases and fences, a tenant's month, people's rights, and an outside.

It does with the core what the executor and the store do, one step at a time, so that a test can put anything between
two of them. What it keeps of a run from one worker to the next is the journal in its stored form, and nothing else.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from agents.core import aside, calls, limits
from agents.core.approvals import call_digest
from agents.core.decide import (
    CallModel,
    CheckGrants,
    Command,
    Finished,
    Park,
    Perform,
    Record,
    Reserve,
    decide,
    held_back,
    lost_model_call,
    plan,
    recover,
    repeated,
)
from agents.core.events import (
    BudgetExtended,
    BudgetReserved,
    BudgetSettled,
    DecisionMade,
    Event,
    ModelRequested,
    RunWaiting,
    ToolRequested,
    event_of,
    facts_and_payload,
)
from agents.core.exact import disclose
from agents.core.fold import fold, fold_all
from agents.core.holdings import Holding, Holdings
from agents.core.policies import NONE
from agents.core.spec import AgentSpec, ToolSpec
from agents.core.state import Call, RunState
from agents.core.triage import model_of
from agents.engine.draft import is_same, standing_order
from agents.tools.seam import Outcome
from audit.canonical import canonical
from tests.agents.core.simulation import START
from tests.agents.core.witness import Witness

Json = Any

WINDOW: Final = "2026-11-01"

#: What a model call is charged that was lost with its worker, in nano-USD.
LOST_NANO: Final = 3000

#: How often a run is taken up in vain before it is set aside.
TRIES: Final = 2

#: The condition that grants here may have, and what it means.
CONDITION: Final = 'args.key != "z"'


def meets_condition(arguments: Json) -> bool:
    """Say whether `CONDITION` holds."""
    return isinstance(arguments, dict) and arguments.get("key", "z") != "z"


class LostLease(Exception):
    """Another worker has the run."""


@dataclass
class Month:
    """The tenant's budget, in nano-USD. limit: None for none. passed: by how much runs went beyond their own limits."""

    limit: int | None = None
    reserved: int = 0
    spent: int = 0
    passed: int = 0

    def reserve(self, usd_nano: int) -> bool:
        """Reserve so much, if there is room."""
        if self.limit is not None and self.spent + self.reserved + usd_nano > self.limit:
            return False
        self.reserved += usd_nano
        return True

    def raise_by(self, usd_nano: int) -> None:
        """Let the operator raise the limit."""
        self.limit = None if self.limit is None else self.limit + usd_nano

    def settle(self, held: int, spent: int) -> None:
        """Give back what was held and count what was spent."""
        self.reserved -= held
        self.spent += spent
        self.passed += max(0, spent - held)


@dataclass
class Rights:
    """Who may use what, now: (principal, tool), always or under `CONDITION`."""

    active: set[UUID]
    always: set[tuple[UUID, UUID]] = field(default_factory=set)
    sometimes: set[tuple[UUID, UUID]] = field(default_factory=set)

    def holdings(self, principals: tuple[UUID, ...], tools: Iterable[UUID]) -> Holdings:
        """Return what the core is told of them."""
        pairs = {(principal, tool) for principal in principals for tool in tools}
        held = {
            pair: Holding(pair in self.always, {"grant": CONDITION} if pair in self.sometimes else {})
            for pair in pairs & (self.always | self.sometimes)
        }
        return Holdings(principals, frozenset(self.active.intersection(principals)), held)

    def allow(self, principals: Iterable[UUID], tool: UUID, arguments: Json) -> bool:
        """Say whether every one of them may make this call."""
        return all(
            principal in self.active
            and (
                (principal, tool) in self.always or ((principal, tool) in self.sometimes and meets_condition(arguments))
            )
            for principal in principals
        )


@dataclass
class Tenant:
    """All that its runs share. effects: what tools did outside, by idempotency key.

    busy: whether the supplier takes no more calls now.
    """

    spec: AgentSpec
    rights: Rights
    needs_yes: Callable[[str, Json], bool]
    month: Month = field(default_factory=Month)
    effects: Counter[str] = field(default_factory=Counter)
    now: datetime = START
    busy: bool = False

    def act(self, tool: ToolSpec, key: str) -> None:
        """Let a call have its effect; a receiver that takes the key knows a repetition."""
        if tool.effect == "read" or (tool.idempotent and self.effects[key]):
            return
        self.effects[key] += 1
        one_call = key.removesuffix(tool.name)
        assert sum(count for known, count in self.effects.items() if known.startswith(one_call)) == 1


class Row:
    """A run as the database has it. leased: whether a lease runs; ready: whether it can be claimed; due_at: from when.

    tries: how often it was taken up since it got any further.
    state: what was committed; workers make theirs from `stored` alone.
    """

    def __init__(self, tenant: Tenant, run_id: UUID, principals: tuple[UUID, ...], submitted: Event) -> None:
        self.tenant, self.id, self.principals = tenant, run_id, principals
        self.epoch, self.tries, self.leased, self.ready = 0, 0, False, True
        self.due_at: datetime | None = None
        self.stored: list[tuple[str, int, str, str | None]] = []
        self.state = self.beginning
        self.witness = Witness(tenant.needs_yes)
        self.keep([submitted])

    @property
    def beginning(self) -> RunState:
        """The state before anything happened."""
        return RunState(self.id, undoable=self.tenant.spec.undoable)

    @property
    def ended(self) -> bool:
        """Whether the journal holds its end."""
        return self.witness.ended

    @property
    def claimable(self) -> bool:
        """Whether a worker that looks finds it."""
        due = self.due_at is not None and self.tenant.now >= self.due_at
        return not self.ended and not self.leased and (self.ready or due)

    def since(self, seq: int) -> list[Event]:
        """Read what is stored behind `seq`."""
        return [
            event_of(action, v, json.loads(facts), None if payload is None else json.loads(payload))
            for action, v, facts, payload in self.stored[seq:]
        ]

    def keep(self, happened: Sequence[Event]) -> None:
        """Append; the witness looks on."""
        for event in happened:
            self.witness.see(event)
            facts, payload = facts_and_payload(event)
            self.stored.append(
                (event.action, event.v, json.dumps(facts), None if payload is None else canonical(payload))
            )
            self.state = fold(self.state, event)

    def add(self, event: Event) -> None:
        """Append what a person did, which takes no lease, and wake the run."""
        if isinstance(event, DecisionMade) and event.escalation == self.witness.aside and event.decision != "reject":
            self.tries = 0
        self.keep([event])
        self.ready = not self.leased

    def expire(self) -> None:
        """Let the lease run out."""
        self.leased, self.ready = False, True


class Worker:
    """A process with one run in its hands. command: what the last commit was the intent of.

    flying: outcomes of calls that were made and are not recorded, by (index, tool).
    """

    def __init__(self, row: Row) -> None:
        row.epoch += 1
        row.tries += 1
        row.leased, row.ready, row.due_at = True, False, None
        self.row, self.epoch = row, row.epoch
        self.tenant, self.spec = row.tenant, row.tenant.spec
        self.flying: dict[tuple[int, str], tuple[Call, Outcome]] = {}
        self.state = fold_all(row.since(0), row.beginning)
        self.command: Command = Finished()
        tries = row.tries
        if tries <= TRIES or not self._see_to_worn():
            self.commit(self._taken_up())
            row.tries = 0 if self.done else tries

    @property
    def has_lease(self) -> bool:
        """Whether it may begin an effect, by its own clock."""
        return self.row.leased and self.row.epoch == self.epoch

    @property
    def done(self) -> bool:
        """Whether it has let go of the run."""
        return isinstance(self.command, Park | Finished)

    @property
    def to_make(self) -> list[Call]:
        """The calls that it has not begun."""
        if not isinstance(self.command, Perform):
            return []
        begun = {(call.index, call.tool) for call, _ in self.flying.values()}
        return [call for call in self.command.calls if (call.index, call.tool) not in begun]

    def make(self, call: Call, outcome: Outcome, *, effect: bool) -> None:
        """Make one call: its intent is durable, it is what was approved, and everyone may have it made."""
        tool = self.spec.tools[call.tool]
        intent = self.row.witness.intents[self.state.turn, call.index]
        assert (intent.tool, disclose(intent.arguments)) == (call.tool, call.arguments)
        assert intent.digest == call_digest(self.spec, tool, call.arguments, NONE)
        assert intent.idempotency_key == calls.idempotency_key(self.state, call)
        if effect:
            self.tenant.act(tool, intent.idempotency_key)
        self.flying[call.index, call.tool] = call, outcome

    def report(self, place: tuple[int, str]) -> Event:
        """Return the fact that a call's outcome is."""
        call, outcome = self.flying.pop(place)
        return calls.outcome_event(self.state, self.spec, call, outcome)

    def commit(self, happened: Sequence[Event]) -> None:
        """Write what happened with all that follows from it, up to the next intent. Raises `LostLease`."""
        state, written = self._fenced(happened), [*happened]
        while not isinstance(command := self._decide(state), CallModel | Perform | Park | Finished):
            consequences = self._consequences(state, command)
            state = fold_all(consequences, state)
            written += consequences
        if self.tenant.busy and isinstance(command, CallModel):
            command = held_back(state, self.tenant.now + timedelta(seconds=10))
        intent = self._intent(command)
        self._write(fold_all(intent, state), [*written, *intent], command)

    def commit_unheard(self, happened: Sequence[Event]) -> None:
        """The same, but the connection breaks behind the commit: the worker reads whether it was written."""
        known = self._fenced([])
        self.commit(happened)
        found = self.row.since(known.seq)
        assert is_same(found[0], happened[0])
        self.state = fold_all(found, known)
        self.command = standing_order(self.state)

    def stop(self, happened: Sequence[Event]) -> None:
        """Write what happened and no more; give the lease back when no call is in the air."""
        state = self._fenced(happened)
        self.row.keep(happened)
        self.state, self.command = state, Perform(())
        self.row.tries = 0
        if not self.flying:
            self.row.expire()
            self.command = Finished()

    def _fenced(self, happened: Sequence[Event]) -> RunState:
        """Return the state after `happened`, which comes behind whatever others have added."""
        if self.row.epoch != self.epoch:
            raise LostLease
        self.state = fold_all(self.row.since(self.state.seq), self.state)
        return fold_all(happened, self.state)

    def _decide(self, state: RunState) -> Command:
        return decide(state, self.spec, now=self.tenant.now, jitter=0.5)

    def _consequences(self, state: RunState, command: Command) -> Sequence[Event]:
        if isinstance(command, Reserve):
            extended: list[Event] = []
            if (more := state.extension) is not None:
                self.tenant.month.raise_by(more.usd_nano)
                extended = [
                    BudgetExtended(
                        usd_nano=more.usd_nano, tokens=more.tokens, window=more.window, escalation=more.escalation
                    )
                ]
                state = fold_all(extended, state)
            if not self.tenant.month.reserve(command.usd_nano):
                lacks = {"usd_nano": command.usd_nano, "tokens": 0}
                return [
                    *extended,
                    limits.budget_exhausted(
                        state, self.spec, budget="month", rule="tenant-month", window=WINDOW, **lacks
                    ),
                ]
            return [*extended, BudgetReserved(usd_nano=command.usd_nano, tokens=command.tokens, window=WINDOW)]
        if isinstance(command, CheckGrants):
            return plan(state, self.spec, self._held(command.tools), now=self.tenant.now)
        assert isinstance(command, Record)
        return command.events

    def _intent(self, command: Command) -> Sequence[Event]:
        if isinstance(command, CallModel):
            return [
                ModelRequested(turn=command.turn, model=model_of(self.state, self.spec), max_tokens=command.max_tokens)
            ]
        if isinstance(command, Park):
            until = command.until.isoformat() if command.until else None
            at = self.tenant.now.isoformat()
            return [RunWaiting(waiting_for=command.waiting_for, reason=command.reason, until=until, at=at)]
        return []

    def _write(self, state: RunState, written: Sequence[Event], command: Command) -> None:
        for event in written:
            if isinstance(event, BudgetSettled):
                self.tenant.month.settle(self.row.witness.held[0], event.usd_nano)
            self.row.keep([event])
        assert self.row.state == state
        self.state, self.command = state, command
        self.row.tries = 0
        if self.done:
            self.row.leased = False
            self.row.due_at = command.until if isinstance(command, Park) else None
        intended = {event.call for event in written if isinstance(event, ToolRequested)}
        for call in self.to_make:
            if not call.undoes and (call.index in intended or written[0].action == "run.resumed"):
                assert self.tenant.rights.allow(self.row.principals, self.spec.tools[call.tool].id, call.arguments)

    def _held(self, tools: Iterable[UUID]) -> Holdings:
        return self.tenant.rights.holdings(self.row.principals, tools)

    def _taken_up(self) -> Sequence[Event]:
        state = self.state
        taken_up = aside.taken_up(state, self.epoch, self.tenant.now.isoformat())
        if state.status == "queued":
            return taken_up
        if state.calling_model:
            return [*taken_up, lost_model_call(state, self.spec, cost_nano=LOST_NANO, tokens=10)]
        return [*taken_up, *recover(state, self.spec, self._held(repeated(state, self.spec)))]

    def _see_to_worn(self) -> bool:
        """Set a run aside that was taken up in vain too often, or end it if it is given up, by its outline alone.

        False when it is to be taken up once more, to end as runs do.
        """
        row, now = self.row, self.tenant.now
        at = now.isoformat()
        state = aside.outline(row.id, [(action, json.loads(facts)) for action, _, facts, _ in row.stored])
        assert (state.status, state.seq, state.held) == (row.state.status, row.state.seq, row.state.held)
        assert (aside.ends_at(state), state.calling_model) == (aside.ends_at(row.state), row.state.calling_model)
        given_up, over = aside.is_given_up(state), aside.is_over(state, now)
        if (given_up or over) and row.tries == TRIES + 1:
            return False
        if given_up:
            happened = aside.given_up(state, epoch=self.epoch, at=at)
            self._write(fold_all(happened, self.state), happened, Finished())
            return True
        happened = aside.set_aside(state, epoch=self.epoch, tries=row.tries - 1, review={}, at=at)
        after = fold_all(happened, self.state)
        until = now if aside.is_given_up(after) else None if over else aside.ends_at(after)
        self._write(after, happened, Park("decision", aside.REASON, until))
        row.tries = TRIES
        return True

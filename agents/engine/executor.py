"""Drive one run: perform what the core decides, append what happened. One worker thread holds one run at a time.

The data's way: `happened` (facts from outside) → `Draft` (fold, decide, until the next thing outside) → one commit →
the effect → `happened`. Between two effects there is exactly one commit, and nothing outside happens before the commit
that holds its intent.
"""

import logging
import queue
import time
from collections.abc import Callable, Sequence, Set
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

import psycopg

from agents.core import aside, calls
from agents.core.approvals import speak_of_principal
from agents.core.decide import (
    AwaitChildren,
    CallModel,
    CheckGrants,
    Command,
    Finished,
    Park,
    Perform,
    Reserve,
    StopChildren,
    await_stopped,
    held_back,
    is_over,
    plan,
    planned_tools,
    recover,
    repeated,
)
from agents.core.decide import planned as to_be_made
from agents.core.events import Event, RunCancelRequested
from agents.core.fold import fold_all
from agents.core.holdings import Holdings, Proof
from agents.core.model import ModelAnswer, ModelError
from agents.core.policies import Policies
from agents.core.requests import input_tokens, model_request
from agents.core.state import Call, RunState
from agents.engine import children, delegating, leases, policies, reserving, store
from agents.engine.children import Start
from agents.engine.draft import Draft, in_windows_of, is_same, reserved, standing_order
from agents.engine.leases import Claimed
from agents.engine.model_calls import answered, failed, lost, most_tokens, unwanted, withdrawn
from agents.engine.setting_aside import see_to
from agents.engine.store import Overtaken, Step, Withheld
from agents.tools.perform import longest
from agents.tools.seam import Failed, Outcome, unclear
from audit.canonical import NotCanonical, canonical
from quotas import reservations
from quotas.provider import Gate, Place
from quotas.reservations import Change

log = logging.getLogger(__name__)

#: Seconds between attempts to commit while the database is away.
RETRY_S = 0.5

#: How often a step looks up what is held, should it change each time; after that nothing counts as held.
LOOKS = 5


@dataclass(frozen=True, slots=True)
class Stopped:
    """The worker is stopping; the lease was given back before the next effect."""


@dataclass(frozen=True, slots=True)
class Means:
    """What an executor performs with.

    answer: calls the model (raises `ModelError`). perform: makes one tool call; never raises for what the outside does.
    tools: threads for parallel calls. stopping: whether the worker has been told to stop. gate: what the supplier takes
    at once; None when nothing is limited.
    """

    answer: Callable[..., ModelAnswer]
    perform: Callable[[Claimed, Call, str], Outcome]
    tools: Executor
    stopping: Callable[[], bool]
    gate: Gate | None = None


@dataclass(frozen=True, slots=True)
class _Planned:
    """What a step's plan rests on. proofs: why its calls may be made; by: the version that the policies must be of for
    it, if they matter. starts: the runs that its calls start.
    """

    proofs: Sequence[Proof] = ()
    by: int | None = None
    starts: Sequence[Start] = ()


class RunExecutor:
    """One claimed run, from its claim until it is parked, ended or lost.

    place: for its next model call, when the worker had one before it claimed the run. Whoever made the executor calls
    `leave` in the end.
    """

    def __init__(self, run: Claimed, means: Means, place: Place | None = None) -> None:
        self.run = run
        self.means = means
        self._place = place
        self.state = RunState(run.id)
        self.until: datetime | None = None
        self._not_always: set[UUID] = set()  # tools once found not to be held whatever the arguments: no use hoping

    # --- the claim ------------------------------------------------------------------------------------------------

    def begin(self, step: Step) -> Command:
        """Take the run up inside the transaction that `claims.claim` opened; returns what to do first."""
        run = self.run
        if run.is_worn and (seen_to := see_to(run, step)) is not None:
            return seen_to
        self.state = fold_all(run.history, RunState(run.id, undoable=run.spec.undoable))
        run.history = []
        draft = Draft(self.state, run.spec)
        if self.state.ended:
            step.forget()
            return Finished()
        draft.add(*self._taken_up(step))
        command = self._think(draft)
        if isinstance(command, Reserve):
            done = self._advance_if_reserved(step, draft, command)
            if done is not None:
                return done
        command, self.state = self._write(step, draft, command)
        return command

    def _taken_up(self, step: Step) -> Sequence[Event]:
        taken_up = aside.taken_up(self.state, self.run.epoch, self.run.now().isoformat())
        if self.run.parent_ended and self.state.parent is not None and not self.state.cancel_requested:
            taken_up.append(RunCancelRequested(by=f"run:{self.state.parent}"))  # nobody waits for it any more
        return taken_up if self.state.status == "queued" else [*taken_up, *self._recovered(step)]

    def _recovered(self, step: Step) -> list[Event]:
        if self.state.calling_model:
            return [lost(self.state, self.run.spec, self.run.now().date())]
        again = repeated(self.state, self.run.spec)
        held = step.holdings(again, by=step.policies(), facts=True) if again else Holdings.assumed(again)
        return recover(self.state, self.run.spec, held)

    # --- what the supplier takes at once ----------------------------------------------------------------------------

    def _think(self, draft: Draft) -> Command:
        """Decide; a model call only with a place for it, so that no intent is written that has to wait."""
        command = draft.think(self.run.now())
        if self.means.gate is None or not isinstance(command, CallModel):
            return command
        wait_s = self._enter(self.means.gate, draft)
        if not wait_s:
            return command
        return held_back(draft.state, self.run.now() + timedelta(seconds=wait_s))

    def _enter(self, gate: Gate, draft: Draft) -> float:
        """Take a place and the tokens; returns 0, or the seconds to wait."""
        self._place = self._place or gate.enter()
        if self._place is None:
            return gate.wait_s()
        most = input_tokens(draft.state, draft.spec) + draft.spec.max_tokens
        wait_s = self._place.charge(most if gate.tokens else 0)
        if wait_s:
            self.leave()
        return wait_s

    def leave(self, tokens: int = 0) -> None:
        """Give the place back, if there is one; tokens: what the supplier counts of the call."""
        place, self._place = self._place, None
        if place is not None:
            place.leave(tokens)

    # --- the loop ---------------------------------------------------------------------------------------------------

    def carry_on(self, command: Command | Stopped) -> Command | Stopped:
        """Perform and commit until nothing is left to do here. Raises `LostLease`."""
        while isinstance(command, CallModel | Perform):
            command = self.one_step(command)
        return command

    def one_step(self, command: CallModel | Perform) -> Command | Stopped:
        """Perform one command and commit what came of it; returns what to do next. Raises `LostLease`."""
        if isinstance(command, CallModel):
            return self._commit([self._call_model(command)])
        self.leave()
        return self._stop_children(command) if isinstance(command, StopChildren) else self._perform(command)

    def is_over(self) -> bool:
        """Say whether the run is over by what is known here: its deadline needs nobody to tell of it."""
        return is_over(self.state, self.run.spec, self.run.now())

    def unless_over(self, command: Command | Stopped, *, look: bool) -> Command | Stopped:
        """Return the command; in place of a model call that is not wanted any more, what comes of not making it.

        Asked before the call is begun, where it may wait for long. look: whether to ask the journal, too, what happened
        to the run meanwhile. Raises `LostLease`, and what the database raises when it is asked.
        """
        if not isinstance(command, CallModel):
            return command
        if not self.is_over():
            known = fold_all(store.since(self.run, self.state.seq) if look else [], self.state)
            if not is_over(known, self.run.spec, self.run.now()):
                return command
            self.state = known
        self.leave()
        return self._commit([unwanted(command.turn, self.state, self.run.spec)])

    def withdraw(self, command: CallModel) -> Command | Stopped:
        """Take back the intent of a call that was not begun, for a worker that is stopping. Raises `LostLease`."""
        self.leave()
        return self._commit([withdrawn(command.turn, self.state, self.run.spec)])

    def _call_model(self, command: CallModel) -> Event:
        run = self.run
        run.check_lease()
        request = model_request(self.state, run.spec)
        used, timeout_s = 0, float(run.spec.limits.model_s)
        try:
            with run.busy(timeout_s):
                answer = self.means.answer(request, timeout_s=timeout_s)
            used = answer.usage.total - answer.usage.cache_read_input_tokens
        except ModelError as error:
            used = most_tokens(request) if error.fault.billed else 0
            return failed(command.turn, request, error, run.now().date())
        finally:
            self.leave(used)
        return answered(command.turn, answer, run.now())

    def _perform(self, command: Command | Stopped) -> Command | Stopped:
        """Make tool calls, all at once, and commit each result as it comes; follow up on what it leads to."""
        done: queue.SimpleQueue[tuple[Call, Outcome | BaseException]] = queue.SimpleQueue()
        flying: set[tuple[int, str]] = set()
        while True:
            if isinstance(command, Perform) and not isinstance(command, StopChildren):
                new = [call for call in command.calls if (call.index, call.tool) not in flying]
                for call in new:
                    self.run.check_lease()
                    flying.add((call.index, call.tool))
                    key = calls.idempotency_key(self.state, call)
                    if len(new) == 1 and len(flying) == 1:
                        self._perform_one(call, key, done)
                    else:
                        self.means.tools.submit(self._perform_one, call, key, done)
            if not flying:
                return command
            call, outcome = done.get()
            flying.discard((call.index, call.tool))
            if isinstance(outcome, BaseException):
                raise outcome
            command = self._commit([self._outcome(call, outcome)], last=not flying)

    def _stop_children(self, command: StopChildren) -> Command | Stopped:
        """Ask the runs that these calls started to end, and park until they have."""
        for run_id in [child.run for call in command.calls for child in call.children if not child.ended]:
            self.run.check_lease()
            children.stop(self.run.tenant_id, self.run.id, run_id)
        return self._commit_ends()

    def _perform_one(
        self, call: Call, key: str, done: "queue.SimpleQueue[tuple[Call, Outcome | BaseException]]"
    ) -> None:
        try:
            self.run.check_lease()  # again: the call may have waited for a thread
            with self.run.busy(longest(self.run.spec.tools[call.tool].definition)):
                outcome = self.means.perform(self.run, call, key)
            done.put((call, outcome))
        except BaseException as error:
            done.put((call, error))

    def _outcome(self, call: Call, outcome: Outcome) -> Event:
        try:
            event = calls.outcome_event(self.state, self.run.spec, call, outcome)
            canonical(store.entry(event).payload)
        except (NotCanonical, RecursionError) as error:
            told = Failed("bad_result", f"The call was made, and its result is not JSON that can be kept: {error}")
            kept = unclear(self.run.spec.tools[call.tool].definition, told)
            return calls.outcome_event(self.state, self.run.spec, call, kept)
        return event

    def _commit_ends(self) -> Command | Stopped:
        """Commit which of the children that were asked to end have, and wait for the others."""
        while True:
            try:
                with store.step(self.run) as step:
                    draft = Draft(self.state, self.run.spec)
                    command, state = self._write(step, draft, await_stopped(self.state))
                self.state = state
                return command
            except Overtaken:
                self.state = fold_all(store.since(self.run, self.state.seq), self.state)
            except psycopg.OperationalError as error:
                log.warning("the database went away in a step; trying again while the lease lasts: %s", error)
                self.state = fold_all(self._added_since(), self.state)
                if self.state.status == "waiting" or not self.state.open_children:
                    return standing_order(self.state)

    # --- committing -------------------------------------------------------------------------------------------------

    def _commit(self, happened: Sequence[Event], *, last: bool = True) -> Command | Stopped:
        """Write what happened with all that follows from it, up to the next intent.

        last: no other call of this run is still in the air, so that a worker that is stopping can give its lease back.
        """
        while True:
            draft = Draft(self.state, self.run.spec)
            draft.add(*happened)
            try:
                return self._stop(draft, last=last) if self.means.stopping() else self._advance(draft)
            except Overtaken:
                self.state = fold_all(store.since(self.run, self.state.seq), self.state)
            except psycopg.OperationalError as error:
                log.warning("the database went away in a step; trying again while the lease lasts: %s", error)
                added = self._added_since()
                self.state = fold_all(added, self.state)
                if added and is_same(added[0], happened[0]):
                    return self._standing(last=last)

    def _standing(self, *, last: bool) -> Command | Stopped:
        """Return what a commit whose answer was lost was the intent of; of none, the worker is stopping (`_stop`)."""
        command = standing_order(self.state)
        if not last or command != Perform(()):
            return command
        leases.release_at_last([self.run])
        return Stopped()

    def _added_since(self) -> list[Event]:
        """Read, as soon as the database answers, what stands behind the state known here. Raises `LostLease`."""
        while True:
            self.run.check_lease()
            time.sleep(RETRY_S)
            try:
                return store.since(self.run, self.state.seq)
            except psycopg.OperationalError:
                continue

    def _advance(self, draft: Draft) -> Command:
        command = self._think(draft)
        if isinstance(command, CheckGrants):
            done = self._advance_if_granted(draft, command)
            if done is not None:
                return done
        elif draft.is_plain(command):
            return self._append(draft, command)
        with store.step(self.run) as step:
            command, state = self._write(step, draft, command)
        self.state = state  # not before the commit: when its answer is lost, what is known here is what stood before it
        return command

    def _advance_if_granted(self, draft: Draft, wanted: CheckGrants) -> Command | None:
        """Plan as if everything were held without condition, and let the step's own statement check that it is.

        Returns None, with nothing written, when it is not or more than a plain step comes of it.
        """
        known = policies.known(self.run.tenant_id)
        if self._not_always & wanted.tools or self._asks_for_facts(draft.state, known):
            return None
        if any(tool.agents for tool in planned_tools(draft.state, draft.spec)):
            return None
        hoped = draft.copy()
        hoped.add(*plan(hoped.state, hoped.spec, Holdings.assumed(wanted.tools, known), now=self.run.now()))
        command = self._think(hoped)
        if not hoped.is_plain(command):
            return None
        try:
            return self._append(hoped, command, tools=wanted.tools, by=known.version)
        except Withheld:
            return None

    def _asks_for_facts(self, state: RunState, known: Policies) -> bool:
        """Say whether who the run acts for has to be looked up before its calls can be planned."""
        tools = self.run.spec.tools.values() if state.ending else planned_tools(state, self.run.spec)
        return speak_of_principal(self.run.spec, tools, known)

    def _append(
        self, draft: Draft, command: Command, *, tools: Set[UUID] = frozenset(), by: int | None = None
    ) -> Command:
        draft.intend(command, self.run.now())
        budget = next(iter(draft.settlements(self.state)), None)  # one at most: a child's end is no plain step
        store.append(self.run, draft.state, draft.events, tools=tools, policies=by, budget=budget)
        self.state = draft.state
        return command

    def _advance_if_reserved(self, step: Step, draft: Draft, wanted: Reserve) -> Command | None:
        """Plan as if there were room, and let the step's own statement check and reserve.

        So the month's row, which all runs of the tenant share, is locked for one statement and the commit that goes
        with it. Tried first as if nothing but the month counted, unless more did the last time. Returns None, with
        nothing written, when there is no room or more than a plain step comes of it.
        """
        if draft.state.extension is not None or draft.state.parent is not None:
            return None
        if draft.state.held is not None:
            change = in_windows_of(draft.state.held, wanted.usd_nano, wanted.tokens)
            return self._advance_reserving(step, draft, change)
        month = reservations.reservation(wanted.usd_nano, wanted.tokens, on=self.run.now().date())
        done = None if reserving.counts_more(self.run) else self._advance_reserving(step, draft, month)
        if done is None and (windows := reserving.counting_windows(step, self.run)):
            done = self._advance_reserving(step, draft, replace(month, windows=windows))
        return done

    def _advance_reserving(self, step: Step, draft: Draft, change: Change) -> Command | None:
        hoped = draft.copy()
        hoped.add(reserved(change))
        command = self._think(hoped)
        if not isinstance(command, CallModel | Perform) or not hoped.is_plain(command):
            return None
        hoped.intend(command, self.run.now())
        try:
            step.append(hoped.state, hoped.events, budget=change, commits=True)
        except Withheld:
            return None
        self.state = hoped.state
        return command

    def _write(self, step: Step, draft: Draft, command: Command, *, looks: int = LOOKS) -> tuple[Command, RunState]:
        """The same inside an open transaction, for what needs one: grants, budgets, questions, parking, the end.

        Returns what to do, and the state, once it is committed. looks: how often it may still look up what is held.
        """
        before, planned = (draft, command), _Planned()
        while isinstance(command, Reserve | CheckGrants | AwaitChildren):
            if isinstance(command, AwaitChildren):
                before = before if planned.starts else (draft.copy(), command)
                command, planned = self._await(step, draft, command, planned)
                continue
            if isinstance(command, Reserve):
                draft.add(*reserving.reserve(step, self.run, draft.state, command))
            else:
                before = draft.copy(), command
                planned = self._plan(step, draft, command, look=looks > 0)
            command = self._think(draft)
        draft.intend(command, self.run.now())
        self.until = until = command.until if isinstance(command, Park) else None
        release, settled = isinstance(command, Park | Finished), draft.settlements(self.state)
        try:
            step.append(
                *(draft.state, draft.events),
                until=until,
                release=release,
                proofs=planned.proofs,
                policies=planned.by,
                settled=settled,
                starts=planned.starts,
            )
        except Withheld:  # taken back since it was looked up: look again
            if (planned.by is None and not planned.starts) or looks <= 0:
                raise
            return self._write(step, *before, looks=looks - 1)
        return command, draft.state

    def _await(
        self, step: Step, draft: Draft, wanted: AwaitChildren, planned: "_Planned"
    ) -> tuple[Command, "_Planned"]:
        """Add what became of children that have ended, and decide; else park. Returns what the step rests on, too."""
        if wanted.runs and wanted.runs <= {start.run for start in planned.starts}:
            return wanted.park, planned
        starts = delegating.heard(step, self.run, draft, wanted.runs)
        if starts is None:
            return wanted.park, planned
        return self._think(draft), replace(planned, starts=[*planned.starts, *starts])

    def _plan(self, step: Step, draft: Draft, wanted: CheckGrants, *, look: bool) -> "_Planned":
        """Plan with what is held now, or without looking as if nothing were."""
        undoing = draft.state.ending is not None
        by = step.policies()
        facts = self._asks_for_facts(draft.state, by)
        held = step.holdings(wanted.tools, by=by, facts=facts) if look else Holdings.none(self.run.principals, by)
        self._not_always |= {tool for tool in wanted.tools if not held.always(tool)}
        of = to_be_made(draft.state)
        callees = step.reversal(of) if undoing else step.callees(of)
        held = replace(held, callees=callees)
        happened = plan(draft.state, self.run.spec, held, now=self.run.now())
        draft.add(*happened)
        proofs = [] if undoing else calls.proofs(self.run.spec, held, happened)
        starts = children.starts(self.run, draft.state, happened, held.callees)
        return _Planned(proofs, by.version if look or undoing else None, starts)

    def _stop(self, draft: Draft, *, last: bool) -> Command | Stopped:
        store.append(self.run, draft.state, draft.events)
        self.state = draft.state
        if not last:
            return Perform(())
        leases.release_at_last([self.run])
        return Stopped()

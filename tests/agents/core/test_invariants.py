"""The core under whatever models, tools, people, workers and clocks do, in any order: what must hold all the same.

The invariants of faults.md are asserted where they could break: by the witness (`witness.py`) at each event, by the
engine in memory (`in_memory.py`) at each commit and effect, and here after each step and when the faults are over.
"""

import itertools
import os
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from agents.core.decide import CallModel
from agents.core.events import (
    DecisionMade,
    DecisionRequested,
    Event,
    ModelAnswered,
    ModelFailed,
    RunCancelRequested,
    RunSubmitted,
)
from agents.core.exact import enclose
from agents.core.fold import fold_all
from agents.core.lifecycle import TRANSITIONS, ImpossibleTransition, after
from agents.core.spec import Approval, Limits
from agents.core.state import Question, RunState
from agents.tools.seam import Failed, Finished, Outcome, OutcomeUnknown
from tests.agents.core import simulation
from tests.agents.core.in_memory import LostLease, Month, Rights, Row, Tenant, Worker
from tests.agents.core.simulation import agent, provider_failed, text, tool, uses

Json = Any

DAN, EVE = UUID(int=8), UUID(int=9)


def undone_by(name: str) -> Json:
    """Compensation whose arguments cannot always be made."""
    return {"tool": name, "arguments": {"key": "args.key"}}


TOOLS = (
    tool("look", fallback="spare"),
    tool("spare", offered=False),
    tool("book", effect="write", idempotent=True, fallback="pay", compensate_with=undone_by("free")),
    tool("free", effect="write", idempotent=True, offered=False),
    tool("pay", effect="irreversible"),
    tool(
        "send", effect="write", approval_value=Approval("args.n > 5", expires_s=60), compensate_with=undone_by("call")
    ),
    tool("call", effect="irreversible", offered=False),
    tool("strict", input_schema={"type": "object", "required": ["key"]}),
)
SPEC = agent(
    *TOOLS,
    output_schema={"type": "object", "required": ["n"]},
    rules=(simulation.rule("output.n < 5"), simulation.rule("output.n != 3", on_fail="escalate")),
    escalate_when="output.n == 1",
    limits=Limits(turns=8, tool_calls=6, validation_retries=1, usd_nano=12_000),
)
NAMES = [*SPEC.tools, "none", "escalate_to_human"]
ARGUMENTS: list[Json] = [{}, {"key": "z"}, {"question": "Which?"}, {"n": 2**60}, {"n": 1.0}, [], "text"]
A, MUCH, LITTLE = {"key": "a"}, {"n": 9, "key": "a"}, {"n": 1, "key": "a"}

sensible = st.sampled_from(
    [("look", A), ("book", A), ("pay", A), ("send", MUCH), ("send", LITTLE), ("strict", A), ("look", {"key": "z"})]
)
any_call = st.one_of(sensible, sensible, sensible, st.tuples(st.sampled_from(NAMES), st.sampled_from(ARGUMENTS)))
some_calls = st.lists(any_call, min_size=1, max_size=3)
calling = some_calls.map(lambda each: uses(*each))
answers = st.one_of(
    *(calling, calling, calling, calling, calling),
    st.builds(text, st.sampled_from(["done", '{"n": 0}', '{"n": 1}', '{"n": 3}', '{"n": 9}', "[]"])),
    st.builds(text, st.just("half"), st.sampled_from(["max_tokens", "refusal", "pause_turn"])),
    st.builds(uses, any_call, stop=st.sampled_from(["max_tokens", "model_context_window_exceeded"])),
    st.sampled_from(
        [
            provider_failed(),
            provider_failed("rate_limited", retry_after_ms=90_000),
            provider_failed("timeout", cost_nano=900, tokens=9),
            provider_failed("odd", retryable=False),
            provider_failed("spend_limit", retryable=False),
        ]
    ),
)
happenings = st.sampled_from(["done", "done", "same", "failed", "broken", "bad", "lost", "lost before"])
ways = st.sampled_from(["commit", "commit", "commit", "commit", "unheard", "stopping"])
interferences = st.sampled_from(
    [
        *["time"] * 6,
        *["woken"] * 2,
        *["raised"] * 2,
        *["taken"] * 3,
        *["given"] * 2,
        "cancelled",
        "gone",
        "back",
        "back",
    ]
)
picks = st.integers(0, 5)


def needs_yes(name: str, arguments: Json) -> bool:
    """Say which calls nobody may make without an approval, whatever the core thinks."""
    return name in {"pay", "call"} or (name == "send" and arguments in (MUCH, {}))


def outcome(name: str, happening: str) -> tuple[bool, Outcome]:
    """Return whether a call has its effect, and what its kind says came of it (see `agents.tools.seam`)."""
    of = SPEC.tools[name]
    effect = happening in {"done", "same", "bad", "lost"}
    if happening in {"done", "same"}:
        return effect, Finished({"n": 1} if happening == "done" else "same")
    if happening == "failed":
        return effect, Failed("unreachable", "nobody there", retryable=True)
    if happening == "broken" or (happening == "bad" and of.effect == "read"):
        return effect, Failed("raised", "no")
    if happening == "bad" or not of.repeatable:
        return effect, OutcomeUnknown("who knows")
    return effect, Failed("timeout", "late", retryable=True, maybe_done=of.effect != "read")


class Runs(RuleBasedStateMachine):
    """A few runs of one tenant, the workers that have or had them, and everybody who interferes."""

    def __init__(self) -> None:
        super().__init__()
        everything = {(who, each.id) for who in (DAN, EVE) for each in TOOLS}
        self.tenant = Tenant(SPEC, Rights({DAN, EVE}, everything), needs_yes)
        self.rows: list[Row] = []
        self.workers: list[Worker] = []

    # --- clients and workers ------------------------------------------------------------------------------------

    @initialize(limit=st.sampled_from([None, None, 15_000, 40_000]))
    def begin(self, limit: int | None) -> None:
        self.tenant.month = Month(limit)

    @precondition(lambda self: len(self.open_rows) < 3)
    @rule(usd_nano=st.sampled_from([None, None, 2500]), seconds=st.sampled_from([None, None, 200]), child=st.booleans())
    def submit(self, usd_nano: int | None, seconds: int | None, child: bool) -> None:
        submitted = RunSubmitted(
            agent="a",
            version=1,
            principal=f"user:{DAN}",
            requested_by=f"user:{DAN}",
            input=enclose({"of": 1}),
            usd_nano=usd_nano,
            deadline=(self.tenant.now + timedelta(seconds=seconds)).isoformat() if seconds else None,
        )
        principals = (DAN, EVE) if child else (DAN,)
        self.rows.append(Row(self.tenant, UUID(int=100 + len(self.rows)), principals, submitted))

    @precondition(lambda self: self.busy or self.claimable)
    @rule(data=st.data(), steps=st.integers(1, 15))
    def work(self, data: st.DataObject, steps: int) -> None:
        for _ in range(steps):
            if self.claimable and (not self.busy or data.draw(st.booleans(), "claim")):
                self.workers.append(Worker(data.draw(st.sampled_from(self.claimable), "run")))
                self._let_go()
            elif self.busy:
                self._work(data, data.draw(st.sampled_from(self.busy), "worker"))

    def _work(self, data: st.DataObject, worker: Worker) -> None:
        if isinstance(worker.command, CallModel):
            happened = answered(worker, data.draw(answers, "answer"))
        elif worker.to_make and worker.has_lease and (not worker.flying or data.draw(st.booleans(), "another call")):
            call = data.draw(st.sampled_from(worker.to_make), "call")
            effect, came = outcome(call.tool, data.draw(happenings, "what happens"))
            worker.make(call, came, effect=effect)
            return
        elif worker.flying:
            happened = worker.report(data.draw(st.sampled_from(sorted(worker.flying)), "result"))
        self._write(worker, happened, data.draw(ways, "way"))

    def _write(self, worker: Worker, happened: Event, way: str) -> None:
        """Have a worker write; one that lost its lease writes nothing."""
        row = worker.row
        before, stale = len(row.stored), worker.epoch != row.epoch
        commit = {"commit": worker.commit, "unheard": worker.commit_unheard, "stopping": worker.stop}[way]
        try:
            commit([happened])
        except LostLease:
            assert stale
            assert len(row.stored) == before
            self.workers.remove(worker)
        else:
            assert not stale
        self._let_go()

    def _let_go(self) -> None:
        self.workers = [worker for worker in self.workers if not worker.done]

    # --- faults, people, clocks ---------------------------------------------------------------------------------

    @precondition(lambda self: self.asked)
    @rule(pick=picks, which=picks)
    def person_answers(self, pick: int, which: int) -> None:
        row, question = self.asked[pick % len(self.asked)]
        answer(row, question, which)

    @precondition(lambda self: self.workers)
    @rule(pick=picks, how=st.sampled_from(["dies", "freezes", "loses its lease"]))
    def worker_breaks(self, pick: int, how: str) -> None:
        worker = self.workers[pick % len(self.workers)]
        if how == "dies":
            self.workers.remove(worker)
        if how != "freezes":
            worker.row.expire()

    @precondition(lambda self: self.open_rows)
    @rule(what=interferences, pick=picks, who=st.sampled_from([DAN, EVE]))
    def interfere(self, what: str, pick: int, who: UUID) -> None:
        row, rights = self.open_rows[pick % len(self.open_rows)], self.tenant.rights
        pair = who, TOOLS[pick].id
        if what == "time":
            self.tenant.now += timedelta(seconds=(1, 30, 100, 100, 100, 4000)[pick])
        elif what == "woken":
            row.ready = not row.leased
        elif what == "busy":
            self.tenant.busy = not self.tenant.busy
        elif what == "raised":
            self.tenant.month.raise_by(12_000)
        elif what == "cancelled" and not row.state.cancel_requested:
            row.add(RunCancelRequested(by=f"user:{DAN}"))
        elif what == "gone":
            rights.active -= {who}
        elif what == "back":
            rights.active |= {DAN, EVE}
        elif what == "taken":
            rights.always -= {pair}
            rights.sometimes ^= {pair}
        elif what == "given":
            rights.always |= {pair}

    # --- what is there ------------------------------------------------------------------------------------------

    @property
    def open_rows(self) -> list[Row]:
        return [row for row in self.rows if not row.ended]

    @property
    def claimable(self) -> list[Row]:
        return [row for row in self.rows if row.claimable]

    @property
    def busy(self) -> list[Worker]:
        return [worker for worker in self.workers if can_work(worker)]

    @property
    def asked(self) -> list[tuple[Row, Question]]:
        return [(row, question) for row in self.open_rows for question in row.state.questions if in_time(row, question)]

    # --- what holds ---------------------------------------------------------------------------------------------

    @invariant()
    def nobody_overspends(self) -> None:
        month = self.tenant.month
        assert month.reserved == sum(row.witness.held[0] for row in self.rows)
        if month.limit is not None:
            assert month.spent + month.reserved <= month.limit + month.passed

    def teardown(self) -> None:
        """The faults stop: every run moves again and ends, and all accounts are even."""
        self.workers.clear()
        self.tenant.month.limit, self.tenant.busy = None, False
        for row in self.open_rows:
            finish(row)
        assert self.tenant.month.reserved == 0
        assert self.tenant.month.spent == sum(row.state.cost_nano for row in self.rows)
        for row in self.rows:
            assert fold_all(row.since(0), row.beginning) == row.state
            assert_is_final(row.state)
            assert_is_undone(row)
            assert_is_well_formed(row.state)


def can_work(worker: Worker) -> bool:
    """Whether there is something that it can do: a model or tool answers, or it begins a call."""
    begins = worker.has_lease and bool(worker.to_make)
    return isinstance(worker.command, CallModel) or bool(worker.flying) or begins


def answered(worker: Worker, answer: Any) -> Event:
    """Return the fact of a model's answer, or of its failure."""
    if isinstance(answer, ModelFailed):
        return answer
    stop, content = answer
    return ModelAnswered(
        turn=worker.state.answers + 1,
        model=SPEC.model,
        stop_reason=stop,
        content=enclose(content),
        input_tokens=10,
        output_tokens=5,
        cost_nano=1000,
    )


def in_time(row: Row, question: Question) -> bool:
    """Whether an answer still counts."""
    return question.expires_at is None or row.tenant.now.isoformat() < question.expires_at


def answer(row: Row, question: Question, which: int) -> None:
    """Have a person answer. They see what happened outside: of a call, they never say what is not so."""
    asked = row.witness.asked[question.escalation]
    assert asked is not None
    decision = asked.allowed[which % len(asked.allowed)]
    doubtful = question.reason in {"outcome_unknown", "compensation_unknown"}
    if doubtful and decision != "respond":
        happened = row.tenant.effects[_doubted(row, question, asked)] > 0
        decision = "approve" if happened else "reject"
    row.add(
        DecisionMade(
            escalation=question.escalation,
            kind=question.kind,
            decision=decision,
            by=f"user:{EVE}",
            digest=question.digest,
            arguments=enclose(question.proposal["arguments"])
            if (question.kind, decision) == ("budget", "edit")
            else None,
            message="so",
            reason="so",
        )
    )


def _doubted(row: Row, question: Question, asked: DecisionRequested) -> str:
    """Return the key of the call of which a person is asked whether it had its effect."""
    undone = row.state.calls[question.call or 0].undoes
    if undone is not None and question.reason == "outcome_unknown":
        return row.witness.latest[undone.turn, undone.index]
    return row.witness.latest[asked.turn, asked.call]


def finish(row: Row) -> None:
    """Drive a run without faults until it ends, by people's answers or for want of them: in bounded steps."""
    row.expire()
    for _ in range(60):
        if row.claimable:
            work(Worker(row))
        if row.ended:
            return
        questions = [question for question in row.state.questions if question.expires_at is None]
        if questions:
            answer(row, questions[0], 0)
        else:
            row.tenant.now += timedelta(seconds=121)
    raise AssertionError(f"it does not move: {row.state}")


def work(worker: Worker) -> None:
    """Have a worker go on until it lets go."""
    while not worker.done:
        if isinstance(worker.command, CallModel):
            worker.commit([answered(worker, text('{"n": 0}'))])
        for call in worker.to_make:
            effect, came = outcome(call.tool, "done")
            worker.make(call, came, effect=effect)
        if worker.flying:
            worker.commit([worker.report(min(worker.flying))])


def assert_is_final(state: RunState) -> None:
    """Nothing moves an ended run."""
    for _, action in TRANSITIONS:
        with pytest.raises(ImpossibleTransition):
            after(state.status, action)


def assert_is_undone(row: Row) -> None:
    """A run that ended without its output has undone, or put to a person, all that it did and could undo."""
    if row.state.status == "completed" or row.witness.aside:
        return
    did = [key for key in row.tenant.effects if key.startswith(str(row.id)) and key.endswith(("-book", "-send"))]
    assert len(did) <= (row.witness.ending.calls if row.witness.ending else 0)


def assert_is_well_formed(state: RunState) -> None:
    """The conversation is one that the model takes: every call answered, in its order, right behind it."""
    messages = state.messages
    assert messages[0]["role"] == "user"
    for message, following in itertools.pairwise(messages):
        if message["role"] != "assistant":
            continue
        wanted = [block["id"] for block in message["content"] if block["type"] == "tool_use"]
        given_back = [block["tool_use_id"] for block in following["content"] if block.get("type") == "tool_result"]
        assert given_back == wanted
        assert all(block["type"] == "tool_result" for block in following["content"][: len(wanted)])


_FULL = os.environ.get("HYPOTHESIS_PROFILE") == "full"

TestRuns = pytest.mark.timeout(2400)(Runs.TestCase)
TestRuns.settings = settings(
    max_examples=10_000 if _FULL else 100,
    stateful_step_count=30,
    phases=tuple(phase for phase in Phase if phase is not Phase.explain),
)

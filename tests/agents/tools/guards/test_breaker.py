"""What fails is not called for a while, by no worker; one call finds out whether it is well again."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from agents.models import ToolBreaker
from agents.tools import breaker as module
from agents.tools.breaker import Breakers, breakers, is_well
from agents.tools.kept import Kept
from agents.tools.seam import Failed, Finished, OutcomeUnknown
from audit.models import Record
from db.scope import tenant_scope
from metrics import counters
from tests.agents.tools.guards.office import NONE_SUCH, SICK, Desk, Office, ok, spec
from tests.egress.servers import answer
from tests.trips import trips

BREAKER = {"failures": 3, "open_s": 600}
CRIED = Failed("http_status", "HTTP 503: out of order", retryable=True)


def desk(of: Office, **more: Any) -> Desk:
    return Desk(spec(of, **{"breaker": BREAKER, **more}))


def row(of: Desk) -> ToolBreaker | None:
    with tenant_scope(of.acme.tenant_id):
        return ToolBreaker.objects.first()


def opened(of: Office, made: Desk) -> None:
    """Let the tool fail until its breaker opens."""
    of.answers = [SICK]
    assert [made.ask() for _ in range(3)] == [CRIED] * 3


def due(made: Desk) -> None:
    """Let the breaker's time be over."""
    with tenant_scope(made.acme.tenant_id):
        ToolBreaker.objects.update(retry_at=timezone.now() - timedelta(seconds=1))
    breakers.forget()


def told(made: Desk) -> list[tuple[str, Any]]:
    """Return what the journal says of the breaker."""
    with tenant_scope(made.acme.tenant_id):
        found = Record.objects.filter(action__startswith="tool.breaker").order_by("id")
        return [(each.action, each.facts) for each in found]


def code(outcome: Any) -> Any:
    return getattr(outcome, "code", outcome)


def test_after_so_many_failures_in_a_row_the_tool_is_not_called(bureau: Office) -> None:
    made = desk(bureau)
    opened(bureau, made)

    again = made.ask()

    assert isinstance(again, Failed)
    assert (again.code, again.retryable) == ("circuit_open", True)
    assert "ask has failed 3 times in a row" in again.message
    assert bureau.calls == 3


def test_a_success_in_between_begins_the_count_anew(bureau: Office) -> None:
    made = desk(bureau)
    bureau.answers = [SICK, SICK, ok(3), SICK, SICK, ok(6)]

    assert [code(made.ask()) for _ in range(7)].count("http_status") == 4
    assert bureau.calls == 7
    assert row(made) is None


@pytest.mark.parametrize("said", [NONE_SUCH, answer(b"no", "401 Unauthorized"), answer(b"no", "422 Unprocessable")])
def test_an_answer_that_says_no_opens_nothing(bureau: Office, said: bytes) -> None:
    made = desk(bureau)
    bureau.answers = [said]

    assert {code(made.ask()) for _ in range(5)} == {"http_status"}
    assert (bureau.calls, row(made)) == (5, None)


def test_what_cannot_be_reached_opens_it_too(bureau: Office) -> None:
    made = desk(bureau, timeout_s=1)
    bureau.open.clear()

    assert [code(made.ask()) for _ in range(4)] == ["timeout"] * 3 + ["circuit_open"]


def test_a_write_whose_outcome_is_unknown_for_want_of_an_answer_counts(bureau: Office) -> None:
    post = {"method": "POST", "url": f"{bureau.seen.url}/{{key}}"}
    made = desk(bureau, effect="write", http=post)
    bureau.answers = [SICK]

    assert [type(made.ask()) for _ in range(4)] == [OutcomeUnknown] * 3 + [Failed]
    assert bureau.calls == 3


def test_one_call_is_let_through_when_its_time_is_over_and_closes_it(bureau: Office) -> None:
    made = desk(bureau)
    opened(bureau, made)
    due(made)
    bureau.answers = [ok(4)]
    bureau.open.clear()
    probe = made.asks()
    bureau.came(4)

    assert {code(made.ask()) for _ in range(3)} == {"circuit_open"}
    bureau.open.set()

    assert isinstance(probe.result(), Finished)
    assert isinstance(made.ask(), Finished)
    assert row(made) is None


def test_when_that_one_fails_it_stays_open_for_as_long_again(bureau: Office) -> None:
    made = desk(bureau)
    opened(bureau, made)
    due(made)

    assert [code(made.ask()) for _ in range(3)] == ["http_status", "circuit_open", "circuit_open"]
    assert bureau.calls == 4
    state = row(made)
    assert state is not None
    assert state.retry_at is not None
    assert state.retry_at > timezone.now() + timedelta(seconds=500)


def test_an_arguments_fault_of_that_one_says_nothing_and_the_next_is_let_through(bureau: Office) -> None:
    made = desk(bureau)
    opened(bureau, made)
    due(made)
    bureau.answers = [ok(4)]

    assert code(made.ask("..")) == "bad_arguments"
    assert isinstance(made.ask(), Finished)


def test_opening_and_closing_are_recorded_and_counted(bureau: Office) -> None:
    made = desk(bureau)
    before = [counters._counted["breaker_changes", to] for to in ("open", "closed")]
    opened(bureau, made)
    due(made)
    bureau.answers = [ok(4)]
    made.ask()

    assert told(made) == [
        ("tool.breaker_opened", {"failures": 3, "open_s": 600, "version": 1}),
        ("tool.breaker_closed", {"failures": 3, "version": 1}),
    ]
    after = [counters._counted["breaker_changes", to] for to in ("open", "closed")]
    assert [now - then for now, then in zip(after, before, strict=True)] == [1, 1]


def test_the_state_is_one_for_all_workers(bureau: Office, process_environment: dict[str, str]) -> None:
    made = desk(bureau)
    opened(bureau, made)

    with made.elsewhere(bureau, process_environment) as other:
        assert other.stdout is not None
        assert "circuit_open" in other.stdout.readline()
    assert bureau.calls == 3


def test_failures_of_several_workers_are_in_one_row(bureau: Office, process_environment: dict[str, str]) -> None:
    made = desk(bureau)
    bureau.answers = [SICK]
    made.ask()
    made.ask()
    with made.elsewhere(bureau, process_environment) as other:
        assert other.stdout is not None
        assert "http_status" in other.stdout.readline()

    breakers.forget()

    assert code(made.ask()) == "circuit_open"


def test_when_the_worker_that_finds_out_is_killed_the_next_call_does(
    bureau: Office, process_environment: dict[str, str]
) -> None:
    made = desk(bureau)
    opened(bureau, made)
    due(made)
    bureau.answers = [ok(5)]
    bureau.open.clear()
    with made.elsewhere(bureau, process_environment) as other:
        bureau.came(4)
        assert code(made.ask()) == "circuit_open"

        other.kill()
        other.wait()

        bureau.open.set()
        waiting = Breakers(Kept())  # what another worker knows that asks now
        run = made.run()
        tool = run.spec.tools["ask"]
        outcome = None
        while not isinstance(outcome, module.Probe):
            waiting.forget()
            outcome = waiting.admit(tool, _context(run))
        waiting.tell(tool, tool.guards.breaker, run.tenant_id, outcome, Finished(None))  # type: ignore[union-attr, arg-type]
    breakers.forget()
    assert isinstance(made.ask(), Finished)


def _context(run: Any) -> Any:
    from agents.engine.toolbox import Context

    return Context(run, 60.0)


def test_a_tool_that_wants_none_is_called_however_often_it_fails(bureau: Office) -> None:
    made = desk(bureau, breaker=None)
    bureau.answers = [SICK]

    assert [made.ask() for _ in range(7)] == [CRIED] * 7


def test_a_tool_over_http_has_one_by_default(bureau: Office) -> None:
    plain = spec(bureau)
    made = Desk(plain)
    bureau.answers = [SICK]

    assert [code(made.ask()) for _ in range(6)] == ["http_status"] * 5 + ["circuit_open"]


def test_another_tenants_tool_of_the_same_name_is_called(bureau: Office) -> None:
    mine, theirs = desk(bureau), desk(bureau)
    opened(bureau, mine)
    bureau.answers = [ok(4)]

    assert isinstance(theirs.ask(), Finished)
    assert code(mine.ask()) == "circuit_open"


def test_success_of_a_tool_that_is_well_costs_at_most_one_look_a_second(
    bureau: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = desk(bureau)
    runs = [made.run() for _ in range(3)]
    made.ask(run=runs[0])
    monkeypatch.setattr(breakers, "_next_look", float("inf"))

    with trips() as made_trips, connection.execute_wrapper(_nothing):
        made.ask(run=runs[1])
        made.ask(run=runs[2])

    assert made_trips == []
    monkeypatch.undo()
    breakers.forget()


def _nothing(*_: Any) -> Any:
    raise AssertionError("a query was made")


def test_looking_which_tools_fail_reads_indexes(bureau: Office) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT indexname FROM pg_indexes WHERE tablename = 'agents_toolbreaker'")
        assert {"tool_breaker_failed", "tool_breaker_open"} <= {name for (name,) in cursor.fetchall()}


@pytest.mark.parametrize(
    ("outcome", "well"),
    [
        (Finished(None), True),
        (Failed("timeout", "", retryable=True), False),
        (Failed("unreachable", "", retryable=True), False),
        (Failed("http_status", "", retryable=True), False),
        (Failed("http_status", ""), True),
        (Failed("sql_error", ""), True),
        (Failed("bad_result", ""), True),
        (Failed("bad_arguments", ""), None),
        (Failed("misconfigured", ""), None),
        (Failed("egress_denied", ""), None),
        (Failed("raised", "", retryable=True, maybe_done=True), None),
        (Failed("busy", "", retryable=True), None),
        (OutcomeUnknown("", "timeout"), False),
        (OutcomeUnknown(""), False),
        (OutcomeUnknown("", "bad_result"), True),
        (OutcomeUnknown("", "raised"), None),
    ],
)
def test_what_an_outcome_says_of_the_other_side(outcome: Any, well: bool | None) -> None:
    assert is_well(outcome) is well

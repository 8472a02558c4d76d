"""One cache for what tools answered: results, duplicates, calls in flight."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone
from psycopg import OperationalError

from agents.core.state import Call
from agents.engine.leases import LostLease
from agents.engine.toolbox import perform_call
from agents.models import ToolResult
from agents.tools import attempts, caching
from agents.tools.caching import cache, purge
from agents.tools.kept import kept
from agents.tools.seam import Failed, Finished
from db.roles import dispatch
from db.scope import tenant_scope
from tenants.models import Role
from tests.agents.tools.guards.office import NONE_SUCH, SICK, Desk, Office, spec
from tests.egress.servers import answer
from tests.ops.processes import eventually
from tests.trips import trips
from vault.actions import secrets

NEW = Finished({"number": 1})
KEPT = Finished({"number": 1}, from_cache=True)


def desk(of: Office, **more: Any) -> Desk:
    return Desk(spec(of, **{"cache_ttl_s": 600, **more}))


def results(of: Desk) -> list[ToolResult]:
    with tenant_scope(of.acme.tenant_id):
        return list(ToolResult.objects.order_by("expires_at"))


def test_an_equal_call_of_another_run_gets_the_kept_result(bureau: Office) -> None:
    made = desk(bureau)

    assert [made.ask(), made.ask(), made.ask()] == [NEW, KEPT, KEPT]
    assert bureau.calls == 1


def test_other_arguments_are_another_call(bureau: Office) -> None:
    made = desk(bureau)

    assert made.ask("a") != made.ask("b")
    assert bureau.calls == 2


def test_another_definition_of_the_tool_is_another_call(bureau: Office) -> None:
    made = desk(bureau)
    before = made.run()
    made.ask(run=before)

    made.acme.define("asker", role="You ask.", tool_specs={"ask": spec(bureau, cache_ttl_s=600, description="Other.")})

    assert made.ask() == Finished({"number": 2})
    assert made.ask(run=before) == KEPT


def test_a_member_gets_nothing_that_was_answered_to_another(bureau: Office) -> None:
    made = desk(bureau)
    ola = made.acme.member("ola", Role.OPERATOR)
    made.ask()

    assert made.ask(run=made.run(ola)) == Finished({"number": 2})
    assert made.ask(run=made.run(ola)) == Finished({"number": 2}, from_cache=True)


def test_a_tool_that_says_so_shares_its_results_in_the_tenant(bureau: Office) -> None:
    made = desk(bureau, cache_scope="tenant")
    made.ask()

    assert made.ask(run=made.run(made.acme.member("ola", Role.OPERATOR))) == KEPT


def test_no_tenant_gets_what_was_answered_to_another(bureau: Office) -> None:
    acme, other = (desk(bureau, cache_scope="tenant") for _ in range(2))
    acme.ask()

    assert other.ask() == Finished({"number": 2})
    assert [row.tenant_id for row in results(other)] == [other.acme.tenant_id]


def test_an_expired_result_is_not_given_again(bureau: Office) -> None:
    made = desk(bureau)
    made.ask()
    with tenant_scope(made.acme.tenant_id):
        ToolResult.objects.update(expires_at=timezone.now())

    assert made.ask() == Finished({"number": 2})
    assert made.ask() == Finished({"number": 2}, from_cache=True)


def test_a_failure_is_not_kept(bureau: Office) -> None:
    made = desk(bureau)
    bureau.answers = [NONE_SUCH]

    assert [made.ask(), made.ask()] == [Failed("http_status", "HTTP 404: no such key")] * 2
    assert (bureau.calls, results(made)) == (2, [])


def test_what_is_kept_is_the_result_without_its_secrets(bureau: Office) -> None:
    made = desk(
        bureau,
        http={
            "method": "GET",
            "url": f"{bureau.seen.url}/{{key}}",
            "headers": {"Authorization": "Bearer secret:token"},
        },
    )
    with tenant_scope(made.acme.tenant_id):
        secrets.put("token", "open-sesame", acting_as=made.acme.alice)
    bureau.answers = [answer(b'{"said": "open-sesame"}', content_type="application/json")]

    told = made.ask()

    [row] = results(made)
    assert "open-sesame" not in row.result
    assert isinstance(told, Finished)
    assert json.loads(row.result) == told.result


def test_a_result_comes_back_as_it_was(bureau: Office) -> None:
    made = desk(bureau)
    bureau.answers = [answer('{"z": 1.50, "a": [null, "ä\\u0000", 2]}'.encode(), content_type="application/json")]
    first = made.ask()

    again = made.ask()

    assert isinstance(first, Finished)
    assert isinstance(again, Finished)
    assert json.dumps(again.result) == json.dumps(first.result)


def test_a_kept_result_is_found_and_erased_by_the_run_that_made_it(bureau: Office) -> None:
    made = desk(bureau)
    run = made.run()
    made.ask(run=run)

    with tenant_scope(made.acme.tenant_id):
        assert ToolResult.objects.filter(run_id=run.id).delete()[0] == 1

    assert made.ask() == Finished({"number": 2})


def test_a_hit_costs_one_round_trip_and_a_miss_two(bureau: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    made = desk(bureau, breaker=None)
    runs = [made.run() for _ in range(3)]
    made.ask("warm", run=runs[0])

    with trips() as missed:
        made.ask(run=runs[1])
    with trips() as hit:
        made.ask(run=runs[2])

    assert [trip[:3] for trip in missed] == [
        ["scope", "tool_result_lead", "tool_result_find"],
        ["kept_begin", "scope", "tool_result_store"],
    ]
    assert hit == [["scope", "tool_result_lead", "tool_result_find"]]


def test_a_tool_without_a_cache_pays_nothing(bureau: Office) -> None:
    made = Desk(spec(bureau, breaker=None))
    run = made.run()

    with trips() as made_trips:
        made.ask(run=run)

    assert made_trips == []


# --- in flight ------------------------------------------------------------------------------------------------------


def test_of_equal_calls_at_the_same_time_one_is_made(bureau: Office) -> None:
    made = desk(bureau)
    bureau.open.clear()
    asked = [made.asks() for _ in range(6)]
    bureau.came(1)

    bureau.open.set()

    outcomes = [each.result() for each in asked]
    assert outcomes.count(NEW) == 1
    assert outcomes.count(KEPT) == 5
    assert bureau.calls == 1


def test_when_the_call_fails_the_waiting_try_themselves_one_after_another(bureau: Office) -> None:
    made = desk(bureau)
    bureau.answers = [NONE_SUCH]
    bureau.open.clear()
    asked = [made.asks() for _ in range(5)]
    bureau.came(1)

    bureau.open.set()

    assert {each.result() for each in asked} == {Failed("http_status", "HTTP 404: no such key")}
    assert (bureau.calls, bureau.most_at_work) == (5, 1)


def test_the_first_success_among_them_is_everybodys(bureau: Office) -> None:
    made = desk(bureau)
    bureau.answers = [NONE_SUCH, answer(b'{"number": 1}', content_type="application/json")]
    bureau.open.clear()
    asked = [made.asks() for _ in range(5)]
    bureau.came(1)

    bureau.open.set()

    outcomes = [each.result() for each in asked]
    assert [outcomes.count(each) for each in (NEW, KEPT)] == [1, 3]
    assert bureau.calls == 2


def test_who_waits_for_an_equal_call_waits_no_longer_than_the_tools_time_out(bureau: Office) -> None:
    made = desk(bureau)
    patient, impatient = made.run(), desk(bureau).run()
    bureau.open.clear()
    first = made.asks(run=patient)
    bureau.came(1)
    tool = patient.spec.tools["ask"]
    object.__setattr__(tool.definition, "timeout_s", 0.2)

    again = made.ask(run=patient)

    assert isinstance(again, Failed)
    assert (again.code, again.retryable) == ("busy", True)
    bureau.open.set()
    assert first.result() == NEW
    assert impatient.has_lease()


def test_who_loses_the_run_while_waiting_makes_no_call(bureau: Office) -> None:
    made = desk(bureau)
    bureau.open.clear()
    first = made.asks()
    bureau.came(1)
    run = made.run()
    second = made.asks(run=run)

    run.given_back = True

    with pytest.raises(LostLease):
        second.result()
    bureau.open.set()
    assert first.result() == NEW
    assert bureau.calls == 1


def test_equal_calls_of_two_processes_are_one(bureau: Office, process_environment: dict[str, str]) -> None:
    made = desk(bureau)
    bureau.open.clear()
    with made.elsewhere(bureau, process_environment) as other:
        bureau.came(1)
        here = made.asks()
        assert eventually(lambda: waiting_here() == 1)
        bureau.open.set()

        assert other.stdout is not None
        assert "from_cache=False" in other.stdout.readline()
        assert here.result() == KEPT
    assert bureau.calls == 1


def waiting_here() -> int:
    """How many equal calls are under way in this process."""
    return sum(flight.users for flight in cache._flights.values())


def test_when_the_worker_that_makes_the_call_is_killed_another_makes_it(
    bureau: Office, process_environment: dict[str, str]
) -> None:
    made = desk(bureau)
    bureau.open.clear()
    with made.elsewhere(bureau, process_environment) as other:
        bureau.came(1)
        here = made.asks()
        assert eventually(lambda: waiting_here() == 1)

        other.kill()

        bureau.came(2)
        bureau.open.set()
        assert here.result() == Finished({"number": 2})


def test_a_call_waits_for_the_database_to_come_back_before_it_looks(
    bureau: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = desk(bureau)
    made.ask()
    run = made.run()
    monkeypatch.setattr(attempts, "AWAY_PAUSE_S", 0.01)
    kept.close()
    real, away = kept._connect, [3]

    def connect() -> Any:
        if away[0]:
            away[0] -= 1
            raise OperationalError("the server is starting up")
        return real()

    monkeypatch.setattr(kept, "_connect", connect)

    assert made.ask(run=run) == KEPT
    assert away == [0]


def test_a_result_that_cannot_be_kept_is_told_all_the_same(bureau: Office) -> None:
    made = desk(bureau)
    run = made.run()
    bureau.open.clear()
    asked = made.asks(run=run)
    bureau.came(1)
    assert kept._connection is not None
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 10000)", [kept._connection.info.backend_pid])

    bureau.open.set()

    assert asked.result() == NEW
    assert results(made) == []
    assert made.ask() == Finished({"number": 2})


def test_a_call_that_undoes_something_is_made_whatever_is_kept(bureau: Office) -> None:
    made = desk(bureau)
    made.ask()
    run = made.run()
    undoing: Any = object()

    assert perform_call(run, Call(0, "c", "ask", {"key": "k"}, undoes=undoing), "key") == Finished({"number": 2})


# --- bounds ---------------------------------------------------------------------------------------------------------


def test_what_has_expired_is_purged_whoevers_it_is(bureau: Office) -> None:
    mine, theirs = desk(bureau), desk(bureau)
    for each in (mine, theirs):
        each.ask()
        each.ask("stays")
        with tenant_scope(each.acme.tenant_id):
            first = ToolResult.objects.order_by("expires_at")[0]
            ToolResult.objects.filter(key=first.key).update(expires_at=timezone.now() - timedelta(seconds=1))

    connection.close()
    assert purge() >= 2

    assert [len(results(each)) for each in (mine, theirs)] == [1, 1]


def test_purging_reads_an_index(bureau: Office) -> None:
    with dispatch(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute("EXPLAIN " + caching._PURGE, [caching.PURGED])
        plan = "\n".join(row[0] for row in cursor.fetchall())

    assert "tool_result_expired" in plan


def test_a_tenant_keeps_no_more_than_its_share(bureau: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    made, other = desk(bureau), desk(bureau)
    other.ask()
    monkeypatch.setattr(caching, "LOOKED_AT", 1)
    monkeypatch.setattr(cache, "_most_chars", 2 * (len('{"number":1}') + caching.ROW_CHARS))

    for key in "abcd":
        made.ask(key)
    assert len(results(made)) == 4  # it is not the call that looks
    cache.purge_if_due()

    assert [row.result for row in results(made)] == ['{"number":4}', '{"number":5}']
    assert len(results(other)) == 1


def test_finding_a_tenants_share_reads_an_index(bureau: Office) -> None:
    made = desk(bureau)
    with tenant_scope(made.acme.tenant_id), connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute("EXPLAIN " + caching._BOUND, [1])
        plan = "\n".join(row[0] for row in cursor.fetchall())

    assert "Index Scan using tool_result_by_tenant" in plan
    assert "Seq Scan" not in plan


def test_a_sick_tool_is_not_kept_and_its_success_afterwards_is(bureau: Office) -> None:
    made = desk(bureau)
    bureau.answers = [SICK, answer(b'{"number": 1}', content_type="application/json")]

    assert isinstance(made.ask(), Failed)
    assert [made.ask(), made.ask()] == [NEW, KEPT]

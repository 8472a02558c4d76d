"""What runs have used, over REST; and what an agent's will."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connection

from agents.actions import usage
from agents.models import Run
from db.models import new_id
from db.scope import tenant_scope
from tests.api.conftest import Caller
from tests.worlds import World

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
PERIOD = "from=2026-11-01T00:00:00Z&to=2026-12-01T00:00:00Z"


def ran(
    of: World, agent: str, *, day: int = 0, cost: int = 1_000_000, count: int = 1, status: str = "completed"
) -> None:
    """Have runs behind us: so many days after `NOON`'s."""
    found = of.agent(agent)
    assert found.live_id is not None
    at = NOON + timedelta(days=day)
    with tenant_scope(of.tenant_id):
        Run.objects.bulk_create(
            Run(
                id=_id(at),
                agent=found,
                version_id=found.live_id,
                principal_id=of.alice.user_id,
                requested_by_id=of.alice.user_id,
                status=status,
                created_at=at,
                ended_at=at,
                model_calls=2,
                tool_calls=1,
                input_tokens=100 + number,
                output_tokens=10,
                cost_nano=cost * (number + 1),
            )
            for number in range(count)
        )


def _id(at: datetime) -> UUID:
    return UUID(int=(int(at.timestamp() * 1000) << 80) | (new_id().int & ((1 << 80) - 1)))


@pytest.fixture
def used(acme: World) -> World:
    acme.define("one", role="One.")
    acme.define("two", role="Two.", model={"id": "claude-haiku-5-5"})
    ran(acme, "one", cost=1_000_000)
    ran(acme, "one", day=1, cost=2_000_000)
    ran(acme, "two", day=1, cost=5_000_000)
    ran(acme, "two", day=-40, cost=7_000_000)
    return acme


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        ("agent", [("two", 1, "0.0050"), ("one", 2, "0.0030")]),
        ("model", [("claude-opus-4-7", 2, "0.0030"), ("claude-haiku-5-5", 1, "0.0050")]),
        ("day", [("2026-11-21", 2, "0.0070"), ("2026-11-20", 1, "0.0010")]),
    ],
)
def test_usage_is_added_up(used: World, alice: Caller, by: str, expected: list[tuple[str, int, str]]) -> None:
    answer = alice.get(f"usage?by={by}&{PERIOD}")

    assert [(row["key"], row["runs"], row["cost_usd"]) for row in answer.json["results"]] == expected
    assert answer.json["next"] is None
    page = alice.get(f"usage?by={by}&{PERIOD}&limit=1").json
    rest = alice.get(f"usage?by={by}&{PERIOD}&limit=1&cursor={page['next']}").json
    assert [*page["results"], *rest["results"]] == answer.json["results"]
    assert rest["next"] is None


def test_usage_of_a_person_is_of_whom_runs_acted_for(used: World, alice: Caller) -> None:
    [row] = alice.get(f"usage?by=user&{PERIOD}").json["results"]

    assert row == {
        "key": f"alice@{used.slug}.example",
        "runs": 3,
        "usage": {
            "model_calls": 6,
            "tool_calls": 3,
            "input_tokens": 300,
            "output_tokens": 30,
            "cache_read_input_tokens": 0,
            "cache_creation_input_tokens": 0,
        },
        "cost_usd": "0.0080",
    }


@pytest.mark.parametrize("query", ["by=week", "from=yesterday", "limit=0", "cursor=x", "of=me"])
def test_a_wrong_question_is_refused(alice: Caller, query: str) -> None:
    assert alice.get(f"usage?{query}").status in {400, 422}


def test_usage_reads_the_index_by_id_however_many_runs_there_are(acme: World, alice: Caller) -> None:
    acme.define("one", role="One.")
    ran(acme, "one", count=3000, day=-300)
    ran(acme, "one", count=30)
    with tenant_scope(acme.tenant_id), connection.execute_wrapper(_explaining):
        usage.used(by="agent", since=NOON - timedelta(days=1), until=NOON + timedelta(days=1))
    assert "Index" in _explained[-1]
    assert "Seq Scan on agents_run" not in _explained[-1]


_explained: list[str] = []


def _explaining(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
    with connection.connection.cursor() as raw:
        raw.execute("EXPLAIN " + sql, params)
        _explained.append("\n".join(row[0] for row in raw.fetchall()))
    return execute(sql, params, many, context)


# --- estimates ------------------------------------------------------------------------------------------------------


def test_an_estimate_is_of_what_completed_runs_took(acme: World, alice: Caller) -> None:
    acme.define("one", role="One.")
    ran(acme, "one", count=20)
    ran(acme, "one", count=20, cost=10**9, status="failed")

    answer = alice.post("agents/one/estimate", {"runs_per_day": 10})

    assert (answer.status, answer.json["basis"], answer.json["runs"]) == (200, "history", 20)
    assert answer.json["per_run"] == {
        "tokens": {"median": 119, "p95": 128},
        "cost_usd": {"median": "0.0100", "p95": "0.0190"},
    }
    assert answer.json["per_day"]["cost_usd"] == {"median": "0.1000", "p95": "0.1900"}
    assert answer.json["per_month"]["tokens"] == {"median": 119 * 300, "p95": 128 * 300}


def test_without_a_history_it_is_of_the_prompt_and_the_limits_and_says_so(acme: World, alice: Caller) -> None:
    acme.define("one", role="One.", limits={"usd": "0.80", "tokens": 50_000})
    ran(acme, "one", count=4)

    small = alice.post("agents/one/estimate", {"runs_per_day": 1.0}).json
    large = alice.post("agents/one/estimate", {"runs_per_day": 1, "input": {"text": "word " * 2000}}).json

    assert (small["basis"], small["runs"]) == ("limits", 4)
    assert small["per_run"]["cost_usd"]["p95"] == "0.8000"
    assert small["per_run"]["tokens"]["p95"] == 50_000
    assert 2048 < small["per_run"]["tokens"]["median"] < large["per_run"]["tokens"]["median"]


def test_triage_counts_a_call_of_each_model(acme: World, alice: Caller) -> None:
    acme.define("one", role="One.")
    acme.define("two", role="One.", triage={"model": "claude-haiku-5-5", "escalate_when": "true"})

    one, two = (alice.post(f"agents/{slug}/estimate", {"runs_per_day": 1}).json["per_run"] for slug in ("one", "two"))

    assert two["tokens"]["median"] == 2 * one["tokens"]["median"]
    dear, both = float(one["cost_usd"]["median"]), float(two["cost_usd"]["median"])
    assert dear < both < 2 * dear


def test_an_agent_that_was_never_published_has_no_estimate(acme: World, alice: Caller) -> None:
    spec = {"role": "Draft.", "model": {"id": "claude-opus-4-7"}}
    assert alice.put("agents/draft", {"spec": spec}, If_None_Match="*").status == 201

    assert alice.post("agents/draft/estimate", {"runs_per_day": 1}).code == "not_published"
    assert alice.post("agents/draft/estimate", {"runs_per_day": 0}).status in {409, 422}

"""The invariants of `faults.md`, checked from outside: through REST, the ledger of effects, and the database's rows."""

from collections import Counter
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

import psycopg

from agents.core.lifecycle import TERMINAL, Status, after
from ops.demo.rest import Rest
from tests.faults.effects import Ledger

Json = Any
Look = psycopg.Connection[tuple[Any, ...]]

_RESULTS = {"tool.finished", "tool.failed", "tool.unknown", "tool.compensated"}


def broken(api: Rest, run_id: str, ledger: Ledger, look: Look | None = None) -> list[str]:
    """Return in a sentence each what does not hold of a run at this moment; empty when all does.

    api: as somebody who may see payloads. look: a connection that sees all rows; without it REST must do.
    """
    run = api.get(f"runs/{run_id}")
    events = list(api.every(f"runs/{run_id}/events"))
    questions = [api.get(f"escalations/{each}") for each in run["escalations"]]
    found = [*_numbers(events), *_states(run, events), *_models(run, events), *_calls(run, events)]
    found += [*_decisions(events, questions), *_effects(run_id, events, ledger), *_budget(run, events)]
    found += _children(api, run, events)
    if look is not None:
        found += [*_rows(look, run_id, events), *months(look, run_id)]
    for child in run["children"]:
        found += [f"its child {child}: {each}" for each in broken(api, child, ledger, look)]
    return found


def _children(api: Rest, run: Json, events: Sequence[Json]) -> Iterator[str]:
    started = [event["data"]["run"] for event in events if event["type"] == "child.started"]
    finished = [event["data"]["run"] for event in events if event["type"] == "child.finished"]
    if sorted(started) != sorted(run["children"]):
        yield f"it started {sorted(started)}, and its children are {sorted(run['children'])}"
    if len(set(finished)) != len(finished) or not set(finished) <= set(started):
        yield f"of {started} have ended {finished}"
    for each in run["children"]:
        child = api.get(f"runs/{each}")
        if run["ended_at"] and not child["ended_at"]:
            yield f"it has ended and its child {each} has not"
        if each in finished and not child["ended_at"]:
            yield f"its child {each} is finished in its journal and goes on"


def _of_children(events: Sequence[Json]) -> list[Json]:
    return [event["data"] for event in events if event["type"] == "child.finished"]


def _numbers(events: Sequence[Json]) -> Iterator[str]:
    if [event["seq"] for event in events] != list(range(1, len(events) + 1)):
        yield "the events are not numbered 1, 2, 3 …"
    epochs = [event["data"]["epoch"] for event in events if event["type"] in ("run.started", "run.resumed")]
    if epochs != sorted(set(epochs)):
        yield f"the epochs do not ascend: {epochs}"
    if sum(event["type"] in ("run.submitted", "run.started") for event in events) > 2:
        yield "it was submitted or started twice"


def _states(run: Json, events: Sequence[Json]) -> Iterator[str]:
    ends = [place for place, event in enumerate(events) if event["type"].removeprefix("run.") in TERMINAL]
    if ends and ends != [len(events) - 1]:
        yield f"its end is not its last event, or not its only one: {ends}"
    status: Status = "queued"
    waiting_for = None
    for event in events:
        status = after(status, event["type"])
        if event["type"] == "run.waiting":
            waiting_for = event["data"]["waiting_for"]
        elif status != "waiting":
            waiting_for = None
    # A claim says running before its first record says so; nothing else runs ahead of the journal.
    if run["status"] != status or run["waiting_for"] != waiting_for:
        yield f"it is {run['status']}/{run['waiting_for']}, but its journal says {status}/{waiting_for}"
    if bool(run["ended_at"]) != (status in TERMINAL):
        yield f"it is {status} and ended_at is {run['ended_at']}"


def _models(run: Json, events: Sequence[Json]) -> Iterator[str]:
    asking = False
    answered: Counter[int] = Counter()
    for event in events:
        kind = event["type"]
        if kind == "model.requested":
            if asking:
                yield f"event {event['seq']}: the model is asked again before what came of the call is recorded"
            asking = True
        elif kind in ("model.answered", "model.failed"):
            if not asking:
                yield f"event {event['seq']}: {kind} without a request"
            asking = False
            answered[event["data"]["turn"]] += kind == "model.answered"
            if event["data"].get("code") == "lost" and not (
                event["data"].get("estimated") and Decimal(event["data"]["cost_usd"]) > 0
            ):
                yield f"event {event['seq']}: a lost call is not charged at its bound"
    if max(answered.values(), default=0) > 1:
        yield f"a turn has two answers: {answered}"
    came = [event["data"] for event in events if event["type"] in ("model.answered", "model.failed")]
    below = _of_children(events)
    if run["usage"]["model_calls"] != len(came) + sum(each.get("model_calls", 0) for each in below):
        yield f"{run['usage']['model_calls']} model calls are counted, {len(came)} are recorded"
    cost = sum((Decimal(each.get("cost_usd", "0")) for each in [*came, *below]), Decimal(0))
    if Decimal(run["cost_usd"]) != cost:
        yield f"its cost is {run['cost_usd']}, its journal says {cost}"


def _calls(run: Json, events: Sequence[Json]) -> Iterator[str]:
    open_calls: dict[tuple[int, int], str] = {}
    requested = 0
    for event in events:
        kind, data = event["type"], event["data"]
        if not kind.startswith("tool."):
            continue
        place = (data["turn"], data["call"])
        if kind == "tool.requested":
            requested += 1
            if place in open_calls:
                yield f"event {event['seq']}: the call is begun again before its result is recorded"
            open_calls[place] = data["tool"]
        elif kind in _RESULTS and open_calls.pop(place, None) != data["tool"]:
            yield f"event {event['seq']}: a result of a call that was not begun, or a second one"
        elif kind == "tool.denied":
            open_calls.pop(place, None)
    if run["usage"]["tool_calls"] != requested + sum(each.get("tool_calls", 0) for each in _of_children(events)):
        yield f"{run['usage']['tool_calls']} tool calls are counted, {requested} are recorded"
    if run["status"] == "completed" and open_calls:
        yield f"it is completed and calls have no result: {open_calls}"


def _decisions(events: Sequence[Json], questions: Sequence[Json]) -> Iterator[str]:
    asked = {event["data"]["escalation"]: event["data"] for event in events if event["type"] == "decision.requested"}
    made = [event["data"] for event in events if event["type"] == "decision.made"]
    if sorted(asked) != sorted(each["id"] for each in questions):
        yield f"asked in the journal: {sorted(asked)}; in the inbox: {sorted(each['id'] for each in questions)}"
    if max(Counter(each["escalation"] for each in made).values(), default=0) > 1:
        yield "a question has two decisions"
    decided = {each["escalation"] for each in made}
    for question in questions:
        if (question["status"] == "decided") != (question["id"] in decided):
            yield f"the question {question['id']} is {question['status']}, its journal says otherwise"
    for each in made:
        if each["digest"] != asked[each["escalation"]]["digest"]:
            yield f"the decision on {each['escalation']} names another digest"
    yield from _approvals(events)


def _approvals(events: Sequence[Json]) -> Iterator[str]:
    wanted: dict[tuple[int, int | None], Json] = {}
    approved: dict[str, Json] = {}
    for event in events:
        kind, data = event["type"], event["data"]
        if kind == "decision.requested" and data["kind"] == "tool_call":
            wanted[data["turn"], data["call"]] = data
        elif kind == "decision.made" and data["decision"] == "approve":
            approved[data["escalation"]] = data
        elif kind == "tool.requested" and (question := wanted.get((data["turn"], data["call"]))):
            yes = approved.get(question["escalation"])
            if yes is None:
                yield f"event {event['seq']}: begun without the approval that was asked for"
            elif not yes["digest"] == question["digest"] == data["digest"]:
                yield f"event {event['seq']}: the digest that is executed is not the one that was approved"


def _effects(run_id: str, events: Sequence[Json], ledger: Ledger) -> Iterator[str]:
    begun = {event["data"]["idempotency_key"]: event["data"] for event in events if event["type"] == "tool.requested"}
    for key, count in ledger.of(run_id).items():
        if count > 1:
            yield f"the effect of {key} happened {count} times"
        if key not in begun:
            yield f"the effect of {key} happened and nothing in the journal says so"
    written = {each.key for each in ledger.asked(run_id)}
    finished = [event["data"] for event in events if event["type"] == "tool.finished"]
    places = {(data["turn"], data["call"], data["tool"]): key for key, data in begun.items()}
    for data in finished:
        key = places.get((data["turn"], data["call"], data["tool"]), "")
        if key in written and ledger.of(run_id).get(key, 0) != 1:
            yield f"{key} is finished in the journal, and had no effect"


def _budget(run: Json, events: Sequence[Json]) -> Iterator[str]:
    settled = [event["data"] for event in events if event["type"] == "budget.settled"]
    reserved = [event["data"] for event in events if event["type"] == "budget.reserved"]
    ended = run["ended_at"] is not None
    if len(settled) != (1 if ended and reserved else 0):
        yield f"settled {len(settled)} times, ended: {ended}"
    beyond = sum((Decimal(each["cost_usd"]) - Decimal(each["usd"]) for each in _of_children(events)), Decimal(0))
    if settled and Decimal(settled[0]["usd"]) != Decimal(run["cost_usd"]) - beyond:
        yield f"settled {settled[0]['usd']}, spent {run['cost_usd']}"


def _rows(look: Look, run_id: str, events: Sequence[Json]) -> Iterator[str]:
    """What REST does not tell: the queue's columns, and the journal as it is stored."""
    row = look.execute(
        "SELECT seq, epoch, ended_at IS NOT NULL, ready_at, due_at, worker FROM agents_run WHERE id = %s", [run_id]
    ).fetchone()
    if row is None:
        yield "the run is gone"
        return
    seq, epoch, ended, ready_at, due_at, worker = row
    if seq != len(events):
        yield f"the run's row has seq {seq}, its journal {len(events)} records"
    epochs = [event["data"]["epoch"] for event in events if event["type"] in ("run.started", "run.resumed")]
    if epochs and epoch < epochs[-1]:
        yield f"the run's row has epoch {epoch}, its journal {epochs[-1]}"
    if ended and (ready_at, due_at, worker) != (None, None, None):
        yield f"it has ended and is still to be driven: {ready_at}, {due_at}, {worker}"
    lacking = look.execute(
        """
        SELECT count(*) FILTER (WHERE commitment IS NOT NULL AND NOT EXISTS (
                   SELECT FROM audit_payload p WHERE p.record_id = r.id)),
               count(*) FILTER (WHERE 1 <> (
                   SELECT (SELECT count(*) FROM (SELECT tenant_id, record_ids FROM audit_outbox
                                                UNION ALL SELECT tenant_id, record_ids FROM audit_outbox_aside) o
                           WHERE o.tenant_id = r.tenant_id AND r.id = ANY(o.record_ids))
                        + (SELECT count(*) FROM audit_leaf l WHERE l.tenant_id = r.tenant_id AND l.record_id = r.id)))
        FROM audit_record r WHERE stream = %s
        """,
        [run_id],
    ).fetchone()
    if lacking != (0, 0):
        yield f"(without their payload, not once in outbox or log) are of its records: {lacking}"


def months(look: Look, run_id: str) -> Iterator[str]:
    """Say where the tenant's month holds something else than what its live runs reserved."""
    rows = look.execute(
        """
        SELECT w.starts_on, w.reserved_usd_nano, w.reserved_tokens,
            coalesce(sum(r.reserved_usd_nano), 0), coalesce(sum(r.reserved_tokens), 0),
            w.spent_usd_nano + w.reserved_usd_nano > b.usd_nano
        FROM agents_run mine JOIN quotas_budget b ON b.tenant_id = mine.tenant_id
        JOIN quotas_window w ON w.budget_id = b.id
        LEFT JOIN agents_run r ON r.tenant_id = w.tenant_id AND r.ended_at IS NULL AND r.reserved_window = w.starts_on
        WHERE mine.id = %s GROUP BY w.id, b.id
        """,
        [run_id],
    )
    for month, usd, tokens, runs_usd, runs_tokens, above in rows:
        if (usd, tokens) != (runs_usd, runs_tokens):
            yield f"the month {month} holds {usd} nano-USD and {tokens} tokens, its live runs {runs_usd}, {runs_tokens}"
        if above:
            yield f"the month {month} is above its limit"

"""Whether a run of the demo came out as its case says. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from ops.demo.cases import Case, Seen

Json = Any


def faults(case: Case, run: Mapping[str, Json], events: Sequence[Json], ledger: Sequence[Json]) -> list[str]:
    """Return in a sentence each what is not as expected; empty when all is.

    run, events: as REST gives them. ledger: the service's entries of this run.
    """
    found = []
    if run["status"] != "completed":
        return [f"{case.name}: {run['status']} instead of completed ({run['error'] or run['waiting_for']})"]
    if [event["seq"] for event in events] != list(range(1, len(events) + 1)):
        found.append("the events are not numbered 1, 2, 3 …")
    if not fits(case.output, run["output"]):
        found.append(f"the output {run['output']} lacks {dict(case.output)}")
    found += [
        f"the output's {name} does not contain {text!r}"
        for name, text in case.contains.items()
        if text not in str((run["output"] or {}).get(name))
    ]
    missing = _first_missing(case.events, events)
    if missing is not None:
        found.append(f"there is no {missing[0]} with {dict(missing[1])} where one must be")
    expected = [(answer.kind, answer.decision) for answer in case.answers]
    if decisions(events) != expected:
        found.append(f"people decided {decisions(events)} instead of {expected}")
    found += _effects(case, ledger)
    return [f"{case.name}: {fault}" for fault in found]


def decisions(events: Sequence[Json]) -> list[tuple[str, str]]:
    """Return kind and decision of every decision in a run, in order."""
    made = [event["data"] for event in events if event["type"] == "decision.made"]
    return [(data["kind"], data["decision"]) for data in made]


def fits(expected: Mapping[str, Json], value: Json) -> bool:
    """Whether `value` is an object with all of `expected` in it."""
    return isinstance(value, Mapping) and all(
        name in value and type(value[name]) is type(each) and value[name] == each for name, each in expected.items()
    )


def _first_missing(expected: Sequence[Seen], events: Sequence[Json]) -> Seen | None:
    left = iter(events)
    for kind, data in expected:
        if not any(event["type"] == kind and fits(data, event["data"]) for event in left):
            return kind, data
    return None


def _effects(case: Case, ledger: Sequence[Json]) -> list[str]:
    if len(ledger) != len(case.effects):
        return [f"the ledger holds {len(ledger)} effects of it instead of {len(case.effects)}"]
    found = []
    for (effect, request), entry in zip(case.effects, ledger, strict=True):
        if entry["effect"] != effect or entry["tenant"] != case.tenant or not fits(request, entry["request"]):
            found.append(f"the ledger holds {entry} instead of {effect} with {dict(request)}")
        elif entry["seen"] != 1:
            found.append(f"the {effect} was asked for {entry['seen']} times")
    return found

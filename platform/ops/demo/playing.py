"""Plays the demo's runs over REST: starts them, answers their questions, judges what came of them."""

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from ops.demo.cases import Answer, Case
from ops.demo.judging import faults
from ops.demo.rest import Rest

Json = Any

TERMINAL: Final = frozenset({"completed", "failed", "cancelled"})
POLL_SECONDS: Final = 0.3
MOST_ANSWERS: Final = 10


@dataclass(frozen=True, slots=True)
class Faces:
    """A tenant's API as its developer and as its reviewer see it."""

    developer: Rest
    reviewer: Rest


@dataclass(slots=True)
class Started:
    """A run on its way.

    answered: ids of the questions answered so far; last: the last of them, as `demo --once` prints it.
    run: as it was last seen. unforeseen: a question that its case does not name, at which it is left.
    """

    case: Case
    id: str
    answered: list[str] = field(default_factory=list)
    last: Json = None
    run: Json = None
    unforeseen: str | None = None

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen."""
        return self.unforeseen is not None or (self.run is not None and self.run["status"] in TERMINAL)


class Play:
    """One playing of cases. tell: gets a line for each thing that happens.

    scripted: whether the answers of the model are known, so that every question must be one the case names. Otherwise
    questions that it does not name are answered in favour of going on.
    """

    def __init__(self, faces: Mapping[str, Faces], *, scripted: bool, tell: Callable[[str], None]) -> None:
        self._faces = faces
        self._scripted = scripted
        self._tell = tell
        self._id = uuid.uuid4().hex
        self._polled_at = 0.0
        self.started: list[Started] = []

    def start(self, cases: Sequence[Case]) -> None:
        """Start a run of each case."""
        for number, case in enumerate(cases, start=1):
            body = {"agent": case.agent, "input": case.input, "metadata": {"demo": self._id, "case": case.name}}
            run = self._faces[case.tenant].developer.post("runs", body, idempotency_key=f"demo-{self._id}-{number}")
            self.started.append(Started(case, run["id"]))

    def settled(self) -> bool:
        """Look at the runs, answer what they ask; return whether all have ended. Looks at most every 0.3 s."""
        if time.monotonic() - self._polled_at >= POLL_SECONDS:
            for tenant in {started.case.tenant for started in self.started if not started.ended}:
                self._look(tenant)
            self._polled_at = time.monotonic()
        return all(started.ended for started in self.started)

    def results(self) -> list[Json]:
        """Return each run in the shape that `demo --once` prints."""
        return [self._result(started) for started in self.started]

    def faults(self, ledger: Sequence[Json]) -> list[str]:
        """Return in a sentence each what is not as the cases say. ledger: the service's entries."""
        found = []
        for started in self.started:
            if started.unforeseen:
                found.append(f"{started.case.name}: asked what was not foreseen ({started.unforeseen})")
            elif self._scripted:
                events = self._events(started)
                own = [entry for entry in ledger if entry["key"].startswith(started.id)]
                found += faults(started.case, started.run, events, own)
            elif not started.ended:
                found.append(f"{started.case.name}: {started.run['status']} is no end")
        return found + self._separation_faults()

    def _look(self, tenant: str) -> None:
        runs = {run["id"]: run for run in self._faces[tenant].developer.every(f"runs?metadata.demo={self._id}")}
        for started in self.started:
            if started.case.tenant == tenant and not started.ended:
                started.run = runs[started.id]
                if started.ended:
                    self._tell(f"{started.case.name}: {started.run['status']}")
                elif started.run["waiting_for"] == "decision":
                    self._answer(started)

    def _answer(self, started: Started) -> None:
        reviewer = self._faces[started.case.tenant].reviewer
        for escalation_id in started.run["escalations"]:
            if escalation_id in started.answered:
                continue
            escalation = reviewer.get(f"escalations/{escalation_id}")
            if escalation["status"] != "open":
                continue
            answer = self._answer_to(started, escalation)
            if answer is None:
                started.unforeseen = f"{escalation['kind']}, {escalation['reason']}: {escalation['detail']}"
                return
            said = {"decision": answer.decision, "reason": answer.reason, "message": answer.message}
            body = {"digest": escalation["proposal"]["digest"], **{name: text for name, text in said.items() if text}}
            reviewer.post(f"escalations/{escalation_id}/decide", body)
            started.answered.append(escalation_id)
            started.last = {"id": escalation_id, "kind": escalation["kind"], "decision": answer.decision}
            self._tell(f"{started.case.name}: asked ({escalation['kind']}), decided ({answer.decision})")

    def _answer_to(self, started: Started, escalation: Json) -> Answer | None:
        given, kind = len(started.answered), escalation["kind"]
        if given < len(started.case.answers) and started.case.answers[given].kind == kind:
            return started.case.answers[given]
        if self._scripted:
            return None
        if given < MOST_ANSWERS and "approve" in escalation["allowed"]:
            return Answer(kind, "approve")
        if given < MOST_ANSWERS and "respond" in escalation["allowed"]:
            return Answer(kind, "respond", message="Use your own judgement, and finish.")
        return Answer(kind, "reject", reason="The demo has answered often enough.")

    def _events(self, started: Started) -> list[Json]:
        return list(self._faces[started.case.tenant].developer.every(f"runs/{started.id}/events"))

    def _result(self, started: Started) -> Json:
        return {
            "agent": started.case.agent,
            "status": started.run["status"] if started.run else "queued",
            "output": started.run["output"] if started.run else None,
            "escalation": started.last,
            "tenant": started.case.tenant,
            "case": started.case.name,
            "id": started.id,
        }

    def _separation_faults(self) -> list[str]:
        """Ask each tenant for a run of the other: it must look like one that does not exist."""
        found = []
        for started in self.started:
            for tenant in self._faces.keys() - {started.case.tenant}:
                status = self._faces[tenant].developer.status(f"runs/{started.id}")
                if status != 404:
                    found.append(f"{started.case.name}: {tenant} sees the run (status {status} instead of 404)")
        return found

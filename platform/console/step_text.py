"""What a step of a run is called and what is said about it in one line. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from console import wording
from console.events import data_of
from console.steps import Step

Data = Mapping[str, Any]

NOTE_LENGTH: Final = 160

ICONS: Final[Mapping[str, str]] = {
    "model": "sparkles",
    "tool": "wrench",
    "check": "badge-check",
    "people": "user-check",
    "wait": "hourglass",
    "run": "flag",
}

DECIDED: Final[Mapping[str, str]] = {
    "approve": "Approved",
    "reject": "Rejected",
    "respond": "Answered",
    "edit": "Approved with edits",
}


@dataclass(frozen=True, slots=True)
class Text:
    """tone: `good`, `warn`, `bad` or nothing; `open` while somebody or something is waited for."""

    title: str
    note: str = ""
    tone: str = ""


@dataclass(frozen=True, slots=True)
class Told:
    """What the step's events tell. opened: data of the first; last: of the latest; people: opaque id → name."""

    opened: Data
    last: Data
    actor: str
    action: str
    people: Mapping[str, str]

    def name(self, opaque: str) -> str:
        """Return the person's name, or what the record says."""
        return self.people.get(opaque, opaque)


def text_of(step: Step, people: Mapping[str, str], *, payloads: bool) -> Text:
    """Return the step's text; without payloads, none of what was said or passed."""
    latest = step.events[-1]
    told = Told(
        data_of(step.opened, payloads=payloads),
        data_of(latest, payloads=payloads),
        latest.actor,
        latest.action,
        people,
    )
    text = TEXTS.get(latest.action, _other)(told)
    if step.cut_short:
        return Text(text.title, "ended with the run")
    return Text(text.title, _line(text.note), text.tone)


def _line(note: str) -> str:
    flat = " ".join(note.split())
    return flat if len(flat) <= NOTE_LENGTH else f"{flat[: NOTE_LENGTH - 1]}…"


def _joined(*parts: Any) -> str:
    return " · ".join(str(part) for part in parts if part)


def _submitted(told: Told) -> Text:
    return Text("Submitted", f"by {told.name(told.actor)}")


def _started(_: Told) -> Text:
    return Text("Started", "a worker took the run up")


def _waits(told: Told) -> Text:
    title = wording.WAITING_FOR.get(told.last["waiting_for"], "Parked")
    return Text(title, wording.code(told.last["reason"]), "open")


def _resumed(told: Told) -> Text:
    if told.last["reason"] == "lease_expired":
        return Text("Taken over by another worker", "the former one stopped answering; nothing done was lost", "warn")
    return Text("Waited", wording.code(told.opened["reason"]))


def _completed(_: Told) -> Text:
    return Text("Run completed", "", "good")


def _failed_run(told: Told) -> Text:
    return Text("Run failed", _joined(wording.code(told.last["code"]), told.last.get("detail")), "bad")


def _cancelled(_: Told) -> Text:
    return Text("Run cancelled", "", "warn")


def _cancelling(told: Told) -> Text:
    return Text("Asked to stop", f"by {told.name(told.last['by'])}", "warn")


def _compensating(told: Told) -> Text:
    calls = told.last["calls"]
    status = told.last["status"]
    end = _joined(wording.STATUS.get(status, status).lower(), wording.code(told.last.get("code") or ""))
    return Text("Being undone", f"what {calls} call{'s' if calls > 1 else ''} did, before it ends: {end}", "warn")


def _turn(told: Told) -> str:
    return f"Model, turn {told.last['turn']}"


def _asks_model(told: Told) -> Text:
    return Text(_turn(told), told.last["model"])


def _model_answered(told: Told) -> Text:
    odd = told.last["stop_reason"] not in {"end_turn", "tool_use", "stop_sequence"}
    estimated = "cost estimated" if told.last.get("estimated") else ""
    note = _joined(told.last["model"], wording.code(told.last["stop_reason"]), estimated)
    return Text(_turn(told), note, "warn" if odd else "")


def _model_failed(told: Told) -> Text:
    retryable = told.last["retryable"]
    again = "will be tried again" if retryable else ""
    note = _joined(wording.code(told.last["code"]), again, told.last.get("error"))
    return Text(_turn(told), note, "warn" if retryable else "bad")


def _calls_tool(told: Told) -> Text:
    return Text(told.last["tool"], f"v{told.last['version']}")


def _tool_finished(told: Told) -> Text:
    cached = "from the cache" if told.last.get("from_cache") else ""
    return Text(told.last["tool"], _joined("answered", cached))


def _tool_denied(told: Told) -> Text:
    note = _joined(f"not called: {wording.code(told.last['code'])}", told.last.get("error"))
    return Text(told.last["tool"], note, "warn")


def _tool_failed(told: Told) -> Text:
    fallback = f"{told.last['fallback']} is tried instead" if told.last.get("fallback") else ""
    return Text(told.last["tool"], _joined(wording.code(told.last["code"]), fallback, told.last.get("error")), "bad")


def _tool_unknown(told: Told) -> Text:
    return Text(told.last["tool"], _joined("nobody knows whether it took effect", told.last.get("error")), "bad")


def _compensated(told: Told) -> Text:
    return Text(told.last["tool"], "undid an earlier call", "good")


def _accepted(_: Told) -> Text:
    return Text("Output accepted", "it passed its schema and rules", "good")


def _rejected(told: Told) -> Text:
    errors = [str(error.get("message", "")) for error in told.last.get("errors", ())]
    return Text("Output sent back", _joined(wording.code(told.last["code"]), *errors), "bad")


def _asks_person(told: Told) -> Text:
    asked = wording.ASKED.get(told.last["kind"], "A decision")
    return Text(_about(asked, told.last), _joined(wording.code(told.last["reason"]), told.last.get("rule")), "open")


def _decided(told: Told) -> Text:
    verb = DECIDED.get(told.last["decision"], told.last["decision"])
    said = told.last.get("message") or told.last.get("reason")
    note = _joined(f"by {told.name(told.last['by'])}", f"“{said}”" if said else "")
    return Text(_about(verb, told.opened), note, "good" if told.last["decision"] == "approve" else "warn")


def _expired(told: Told) -> Text:
    return Text(_about("Nobody decided in time", told.opened), "", "bad")


def _answered(told: Told) -> Text:
    verb = DECIDED.get(told.last["decision"], told.last["decision"])
    return Text(f"{verb}, not in effect yet", f"by {told.name(told.last['by'])}, who can still take it back", "open")


def _undone(told: Told) -> Text:
    if told.last["code"] == "lapsed":
        return Text("An answer lapsed", "whoever gave it may not decide any more", "warn")
    return Text("An answer was taken back", f"by {told.name(told.last['by'])}", "warn")


def _guided(told: Told) -> Text:
    said = told.last.get("message")
    return Text("Told something", _joined(f"by {told.name(told.last['by'])}", f"“{said}”" if said else ""))


def _retried(told: Told) -> Text:
    how = "carries on from its last step" if told.last["start"] == "step" else "begins anew"
    return Text("Another run tried again", _joined(told.last["of"], how))


def _reversing(told: Told) -> Text:
    return Text("Undoes another run", told.last["of"], "warn")


def _about(words: str, asked: Data) -> str:
    proposal = asked.get("proposal")
    tool = proposal.get("tool") if isinstance(proposal, Mapping) else None
    return f"{words}: {tool}" if tool else words


_UNDOES: Final = "A run that undoes what another agent's did"


def _child_started(told: Told) -> Text:
    if told.last.get("reverses"):
        undone = f"run …{str(told.last['reverses'])[-8:]} is undone"
        return Text(_UNDOES, _joined(f"run …{str(told.last['run'])[-8:]}", undone), "open")
    tokens = wording.count(told.last["tokens"])
    aside = f"up to {wording.budget(told.last['usd_nano'])} and {tokens} tokens are set aside for it"
    return Text("A run of another agent", _joined(f"run …{str(told.last['run'])[-8:]}", aside), "open")


def _child_finished(told: Told) -> Text:
    status = str(told.last["status"])
    note = _joined(
        f"run …{str(told.last['run'])[-8:]}",
        wording.STATUS.get(status, status).lower(),
        wording.usd(told.last["cost_nano"]),
    )
    title = _UNDOES if told.opened.get("reverses") else "A run of another agent"
    return Text(title, note, "good" if status == "completed" else "bad")


def _reserved(told: Told) -> Text:
    tokens = wording.count(told.last["tokens"])
    return Text("Budget reserved", f"up to {wording.budget(told.last['usd_nano'])} and {tokens} tokens")


def _extended(told: Told) -> Text:
    tokens = wording.count(told.last["tokens"])
    return Text("Budget extended", f"by {wording.budget(told.last['usd_nano'])} and {tokens} tokens")


def _settled(told: Told) -> Text:
    tokens = wording.count(told.last["tokens"])
    return Text("Budget settled", f"{wording.usd(told.last['usd_nano'])} and {tokens} tokens spent")


def _other(told: Told) -> Text:
    noun, _, verb = told.action.partition(".")
    return Text(f"{noun.capitalize()} {wording.code(verb)}")


TEXTS: Final[Mapping[str, Callable[[Told], Text]]] = {
    "run.submitted": _submitted,
    "run.started": _started,
    "run.waiting": _waits,
    "run.resumed": _resumed,
    "run.cancel_requested": _cancelling,
    "run.compensating": _compensating,
    "run.completed": _completed,
    "run.failed": _failed_run,
    "run.cancelled": _cancelled,
    "model.requested": _asks_model,
    "model.answered": _model_answered,
    "model.failed": _model_failed,
    "tool.requested": _calls_tool,
    "tool.finished": _tool_finished,
    "tool.denied": _tool_denied,
    "tool.failed": _tool_failed,
    "tool.unknown": _tool_unknown,
    "tool.compensated": _compensated,
    "output.accepted": _accepted,
    "output.rejected": _rejected,
    "decision.requested": _asks_person,
    "decision.made": _decided,
    "decision.expired": _expired,
    "child.started": _child_started,
    "child.finished": _child_finished,
    "decision.answered": _answered,
    "decision.undone": _undone,
    "run.guided": _guided,
    "run.retried": _retried,
    "run.reversing": _reversing,
    "budget.reserved": _reserved,
    "budget.extended": _extended,
    "budget.settled": _settled,
}

"""What is sent: made of the run or the question as it is when it is sent."""

import json
from typing import Any, Final
from uuid import UUID

from django.conf import settings

from agents.actions import budgets
from agents.core.money import to_usd
from agents.models import Run
from agents.presenters import runs_json, with_names
from escalations.models import Escalation
from learning import links
from learning.actions import feedback
from quotas.models import Window
from webhooks import chat
from webhooks.errors import BudgetGone
from webhooks.models import Delivery

Json = Any

#: What to do about a failure whose own suggestion was erased or never made.
UNKNOWN: Final = "Read the run's events to see how far it came, then try it again."


def body_of(delivery: Delivery) -> bytes:
    """Return the message, in its tenant's scope: `{type, timestamp, data}`, or `{text}` for a chat tool.

    Of a run that ended: all that `GET runs/{id}` says, and when it failed how to try again. Of a question: what it is
    and where to read it, without what it is about. Of a soft limit: the budget, and what its window has spent. Raises
    `BudgetGone`.
    """
    if delivery.endpoint is not None and delivery.endpoint.form == "chat":
        return _json({"text": chat.text_of(delivery)})
    if delivery.window_id is not None:
        data = _window(delivery.window_id)
    elif delivery.escalation_id is not None:
        data = _question(delivery)
    else:
        data = _run(with_names(Run.objects.filter(id=str(delivery.run_id))).get())
    message = {"type": delivery.type, "timestamp": delivery.created_at.isoformat(), "data": data}
    return _json(message)


def _json(message: Json) -> bytes:
    return json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode()


def _run(run: Run) -> Json:
    asked = Escalation.objects.filter(run_id=run.id).order_by("requested_at", "id").values_list("id", flat=True)
    (told,) = runs_json([run], {run.id: [str(each) for each in asked]}, payloads=True)
    here = f"{settings.BASE_URL}/api/v1/runs/{run.id}"
    told["links"] = {"self": here, "events": f"{here}/events"}
    if (link := feedback.link_of(run)) is not None:
        told["links"]["feedback"] = links.address(link)
    if run.status == "failed":
        suggestion = (told["error"] or {}).get("suggestion")
        told["recovery"] = {"suggestion": suggestion or UNKNOWN}
        if run.parent_id is None:
            told["recovery"] |= {"retry": f"POST {here}/retry", "from": ["step", "start"]}
    return told


def _question(delivery: Delivery) -> Json:
    asked = Escalation.objects.get(id=str(delivery.escalation_id))
    return {
        "id": str(asked.id),
        "kind": asked.kind,
        "status": asked.status,
        "run": str(asked.run_id),
        "reason": asked.reason,
        "queue": asked.queue,
        "priority": asked.risk,
        "requested_at": asked.requested_at.isoformat(),
        "due_at": asked.due_at.isoformat() if asked.due_at else None,
        "decision": asked.decision,
        "links": {"self": f"{settings.BASE_URL}/api/v1/escalations/{asked.id}"},
    }


def _window(window_id: UUID) -> Json:
    window = Window.objects.select_related("budget").filter(id=window_id).first()
    if window is None:
        raise BudgetGone
    return {
        "budget": window.budget.name,
        **budgets.spec_of(window.budget),
        "starts_on": window.starts_on.isoformat(),
        "spent": {"usd": to_usd(window.spent_usd_nano), "tokens": window.spent_tokens},
        "links": {"self": f"{settings.BASE_URL}/api/v1/budgets/{window.budget.name}"},
    }

"""What a chat tool shows: a line without anything about a person, and the page where to go on."""

from typing import Final

from django.conf import settings
from django.urls import reverse

from agents.models import Run
from escalations.models import Escalation
from quotas.models import Window
from tenants.models import Tenant
from webhooks.errors import BudgetGone
from webhooks.models import Delivery

_RUN: Final = {
    "run.completed": "A run has completed",
    "run.failed": "A run has failed",
    "run.cancelled": "A run was cancelled",
}
_QUESTION: Final = {
    "escalation.requested": "People are asked",
    "escalation.decided": "Decided",
    "escalation.reopened": "People are asked again",
    "escalation.expired": "Nobody answered in time",
    "escalation.withdrawn": "Nobody need answer any more",
}


def text_of(delivery: Delivery) -> str:
    """Return the text, in the delivery's tenant's scope. Raises `BudgetGone`."""
    slug = Tenant.objects.only("slug").get(id=delivery.tenant_id).slug
    if delivery.window_id is not None:
        window = Window.objects.select_related("budget").filter(id=delivery.window_id).first()
        if window is None:
            raise BudgetGone
        return f"The soft limit of the budget {window.budget.name} is spent.\n{_page('console:usage', tenant=slug)}"
    run = Run.objects.select_related("agent").get(id=str(delivery.run_id))
    if delivery.escalation_id is None:
        page = _page("console:run", tenant=slug, run=str(run.id))
        return f"{_RUN[delivery.type]} ({run.agent.slug}).\n{page}"
    asked = Escalation.objects.get(id=delivery.escalation_id)
    told = [asked.kind.replace("_", " "), run.agent.slug]
    told += [f"queue {asked.queue}"] if asked.queue else []
    told += [f"priority {asked.risk}"]
    told += [f"due {asked.due_at:%Y-%m-%d %H:%M} UTC"] if asked.due_at and asked.status == "open" else []
    page = _page("console:inbox_item", tenant=slug, escalation=str(asked.id))
    return f"{_QUESTION[delivery.type]}: {', '.join(told)}.\n{page}"


def _page(name: str, **named: str) -> str:
    return str(settings.BASE_URL).rstrip("/") + reverse(name, kwargs=named)

"""What a webhook can be told of."""

from typing import Final

#: Types as they are sent. The database's triggers name them too (`migrations`).
EVENTS: Final = (
    "run.completed",
    "run.failed",
    "run.cancelled",
    "escalation.requested",
    "escalation.decided",
    "escalation.reopened",
    "escalation.expired",
    "escalation.withdrawn",
    "budget.soft_limit_reached",
)

#: Bodies: the event as JSON in the form of Standard Webhooks, or `{"text"}`, which chat tools show as it is.
FORMS: Final = ("standard", "chat")

"""Mutable: one event on its way to one place, and what came of each attempt."""

from django.db import models

from db.models import TenantModel, new_id


class Delivery(TenantModel):
    """Made by the database in the transaction of what it tells (`webhooks_tell`), so that none is lost or made up.

    endpoint: where to; null for a run's callback, whose address is `url`. type: see `webhooks.events`. run_id,
    escalation_id, or window_id of a budget: what it is about; the body is made of that when it is sent. status:
    pending, delivered, failed. next_at: when it is tried next, or taken for lost by who tries it; null when nothing
    more is tried. answered: the HTTP status of the last attempt; error: why there was none, a sentence without content.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    endpoint = models.ForeignKey("webhooks.Endpoint", null=True, on_delete=models.CASCADE, related_name="deliveries")
    url = models.CharField(max_length=2000, null=True)  # noqa: DJ001
    type = models.CharField(max_length=40)
    run_id = models.UUIDField(null=True)
    escalation_id = models.UUIDField(null=True)
    window_id = models.UUIDField(null=True)
    status = models.CharField(max_length=10, default="pending")
    attempts = models.IntegerField(default=0)
    created_at = models.DateTimeField()
    next_at = models.DateTimeField(null=True)
    delivered_at = models.DateTimeField(null=True)
    answered = models.SmallIntegerField(null=True)
    error = models.CharField(max_length=300, null=True)  # noqa: DJ001

    class Meta(TenantModel.Meta):
        indexes = (
            models.Index(fields=["next_at"], name="delivery_due", condition=models.Q(next_at__isnull=False)),
            models.Index(fields=["tenant_id", "endpoint", "created_at", "id"], name="delivery_of_endpoint"),
            models.Index(fields=["tenant_id", "run_id"], name="delivery_of_run"),
            models.Index(fields=["tenant_id", "created_at"], name="delivery_of_tenant"),
        )

    def __str__(self) -> str:
        return f"{self.type} of {self.run_id or self.window_id}"

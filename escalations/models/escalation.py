"""Mutable: a question to people, and their votes on it."""

from typing import Final

from django.contrib.postgres.fields import ArrayField
from django.db import models

from db.models import TenantModel, new_id

#: (status, happening) → status. Everything else is refused.
TRANSITIONS: Final[dict[tuple[str, str], str]] = {
    ("open", "decided"): "decided",
    ("open", "expired"): "expired",
    ("open", "withdrawn"): "withdrawn",
}


class Escalation(TenantModel):
    """One question. What it says stands in the run's journal at `seq`; this row is its place in the queues.

    kind: tool_call, output, question, budget, reconcile. status: see `TRANSITIONS`. allowed: the answers it takes.
    requester: whom the run acts for; never decides it. required: how many must approve. digest: SHA-256 (hex) of what
    is proposed, which every answer must name. due_at: when an answer is due; expires_at: after which none counts.
    excluded: more members who never decide it, such as who changed what is proposed; null for nobody.
    """

    id = models.UUIDField(primary_key=True, editable=False)
    run_id = models.UUIDField()
    agent_id = models.UUIDField()
    seq = models.IntegerField()
    kind = models.CharField(max_length=10)
    status = models.CharField(max_length=10, default="open")
    reason = models.CharField(max_length=60)
    rule = models.CharField(max_length=4000, null=True)  # noqa: DJ001 - absent is not empty
    allowed = ArrayField(models.CharField(max_length=10))
    digest = models.CharField(max_length=64)
    requester_id = models.UUIDField()
    excluded = ArrayField(models.UUIDField(), null=True)
    required = models.SmallIntegerField(default=1)
    queue = models.CharField(max_length=63, null=True)  # noqa: DJ001
    requested_at = models.DateTimeField()
    due_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(null=True)
    decision = models.CharField(max_length=10, null=True)  # noqa: DJ001
    decided_at = models.DateTimeField(null=True)

    class Meta(TenantModel.Meta):
        indexes = (
            models.Index(fields=["tenant_id", "status", "requested_at", "id"], name="escalation_inbox"),
            models.Index(fields=["tenant_id", "requested_at", "id"], name="escalation_newest"),
            models.Index(fields=["tenant_id", "queue", "requested_at"], name="escalation_of_queue"),
            models.Index(fields=["tenant_id", "agent_id", "requested_at"], name="escalation_of_agent"),
            models.Index(fields=["tenant_id", "requester_id", "requested_at"], name="escalation_of_requester"),
            models.Index(fields=["tenant_id", "run_id"], name="escalation_of_run"),
        )

    def __str__(self) -> str:
        return f"{self.kind} of run {self.run_id}"


class Vote(TenantModel):
    """One person's answer; immutable. The one that completes the question is the decision."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    escalation = models.ForeignKey(Escalation, on_delete=models.PROTECT, related_name="votes")
    user = models.ForeignKey("tenants.User", on_delete=models.PROTECT)
    decision = models.CharField(max_length=10)
    at = models.DateTimeField(auto_now_add=True)

    class Meta(TenantModel.Meta):
        constraints = (models.UniqueConstraint(fields=["escalation", "user"], name="one_vote_each"),)

    def __str__(self) -> str:
        return f"{self.decision} by {self.user_id}"

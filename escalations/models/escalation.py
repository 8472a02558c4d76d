"""Mutable: a question to people, and their votes on it."""

from typing import Final
from uuid import UUID

from django.contrib.postgres.fields import ArrayField
from django.db import models

from db.models import TenantModel, new_id

#: (status, happening) → status. Everything else is refused.
TRANSITIONS: Final[dict[tuple[str, str], str]] = {
    ("open", "decided"): "decided",
    ("open", "expired"): "expired",
    ("open", "withdrawn"): "withdrawn",
    ("decided", "undone"): "open",
    ("decided", "lapsed"): "open",
    ("decided", "withdrawn"): "withdrawn",
}


class Escalation(TenantModel):
    """One question. What it says stands in the run's journal at `seq`; this row is its place in the queues.

    kind: tool_call, output, question, budget, reconcile, appeal. An appeal is about a run that has ended: what it says
    stands in a stream of its own id; reversal_id: the run that undoes what that one did.
    status: see `TRANSITIONS`. allowed: the answers it takes.
    requester: whom the run acts for; never decides it. required: how many must approve. digest: SHA-256 (hex) of what
    is proposed, which every answer must name. due_at: when an answer is due; expires_at: after which none counts.
    excluded: more members who never decide it, such as who changed what is proposed; null for nobody.

    risk: 0 to 100 (`escalations.risk`). urgency: the order of the inbox, greatest first: every point of risk weighs as
    much as some time of waiting; 0 for what was asked before there was one. assignee_id: who is to answer it;
    claimed_by_id: who said that they do. snoozed_until: until when nobody need look. been_in: the queues it was in
    before, by slug. reminded_at: when those who work it were last reminded. overdue_at: when it was found overdue with
    no other queue to go to.
    effective_at: when the answer takes effect; until then it can be taken back. answer_seq: number of the answer in the
    run's journal while it has not taken effect. look_at: when the sweep has something to do here (`escalations.due`).
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
    risk = models.SmallIntegerField(db_default=0)
    urgency = models.BigIntegerField(db_default=0)
    assignee_id = models.UUIDField(null=True)
    claimed_by_id = models.UUIDField(null=True)
    claimed_at = models.DateTimeField(null=True)
    snoozed_until = models.DateTimeField(null=True)
    been_in = ArrayField(models.CharField(max_length=63), null=True)
    reminded_at = models.DateTimeField(null=True)
    overdue_at = models.DateTimeField(null=True)
    effective_at = models.DateTimeField(null=True)
    answer_seq = models.IntegerField(null=True)
    look_at = models.DateTimeField(null=True)
    reversal_id = models.UUIDField(null=True)

    class Meta(TenantModel.Meta):
        indexes = (
            models.Index(fields=["tenant_id", "status", "requested_at", "id"], name="escalation_inbox"),
            models.Index(fields=["tenant_id", "requested_at", "id"], name="escalation_newest"),
            models.Index(fields=["tenant_id", "queue", "requested_at"], name="escalation_of_queue"),
            models.Index(fields=["tenant_id", "agent_id", "requested_at"], name="escalation_of_agent"),
            models.Index(fields=["tenant_id", "requester_id", "requested_at"], name="escalation_of_requester"),
            models.Index(fields=["tenant_id", "run_id"], name="escalation_of_run"),
            models.Index(
                "tenant_id", "status", models.F("urgency").desc(), models.F("id").desc(), name="escalation_urgent"
            ),
            models.Index(fields=["look_at"], name="escalation_look", condition=models.Q(look_at__isnull=False)),
        )

    def __str__(self) -> str:
        return f"{self.kind} of run {self.run_id}"

    @property
    def place(self) -> tuple[UUID, int]:
        """Where the journal says what is asked: stream and number."""
        return (self.id if self.kind == "appeal" else self.run_id), self.seq

    @property
    def is_pending(self) -> bool:
        """Whether it is answered and the answer can still be taken back."""
        return self.status == "decided" and self.answer_seq is not None


class Vote(TenantModel):
    """One person's answer, for as long as it is not taken back. The one that completes the question is the decision."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    escalation = models.ForeignKey(Escalation, on_delete=models.PROTECT, related_name="votes")
    user = models.ForeignKey("tenants.User", on_delete=models.PROTECT)
    decision = models.CharField(max_length=10)
    at = models.DateTimeField(auto_now_add=True)

    class Meta(TenantModel.Meta):
        constraints = (models.UniqueConstraint(fields=["escalation", "user"], name="one_vote_each"),)

    def __str__(self) -> str:
        return f"{self.decision} by {self.user_id}"


class Opened(TenantModel):
    """Who has opened a question: nobody decides in bulk on a great risk that they never looked at. Immutable."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    escalation = models.ForeignKey(Escalation, on_delete=models.PROTECT, related_name="openings")
    user = models.ForeignKey("tenants.User", on_delete=models.PROTECT)
    at = models.DateTimeField(auto_now_add=True)

    class Meta(TenantModel.Meta):
        constraints = (models.UniqueConstraint(fields=["escalation", "user"], name="opened_once_each"),)

    def __str__(self) -> str:
        return f"opened by {self.user_id}"

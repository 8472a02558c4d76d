"""Mutable: something that people have taught about an agent, for its suites."""

from typing import Final

from django.db import models

from db.models import TenantModel, new_id

TAGS: Final = ("happy", "degraded", "error", "edge")


class Case(TenantModel):
    """An input and what is expected of the agent for it, as a person corrected a run.

    What it holds is about people: it lies in the erasable payload of the record at (stream = id, seq = 1), which is
    found by `run_id` here and in that record's facts. Erased there, the case is empty.

    version_id: the version that was corrected. escalation_id: of the question whose answer it was kept from; null of
    one kept from a run. source: `edit`, `reject`, `appeal` or `run`. tag: of `TAGS`.
    removed_at: when it was let go. Nobody is shown it any more; the run's erasure finds what it holds by this row.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    agent = models.ForeignKey("agents.Agent", on_delete=models.PROTECT, related_name="+")
    version_id = models.UUIDField()
    run_id = models.UUIDField()
    escalation_id = models.UUIDField(null=True)
    source = models.CharField(max_length=10)
    tag = models.CharField(max_length=10)
    kept_by_id = models.UUIDField()
    created_at = models.DateTimeField()
    removed_at = models.DateTimeField(null=True)

    class Meta(TenantModel.Meta):
        constraints = (
            models.UniqueConstraint(
                fields=["escalation_id"],
                condition=models.Q(escalation_id__isnull=False, removed_at__isnull=True),
                name="one_case_per_question",
            ),
        )
        indexes = (
            models.Index(fields=["tenant_id", "agent", "created_at", "id"], name="case_of_agent"),
            models.Index(fields=["tenant_id", "run_id"], name="case_of_run"),
        )

    def __str__(self) -> str:
        return f"{self.tag} case of run {self.run_id}"

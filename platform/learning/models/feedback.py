"""Mutable: what users say of outputs."""

from django.db import models

from db.models import TenantModel, new_id


class Feedback(TenantModel):
    """One person's word on a run's output.

    user_id: the member who gave it; null when it came by the run's link, from whoever had it. score: 1 to 5, thumb: 1
    up, -1 down; one of them is set. seq: the number of the newest record in the stream of this row's id, whose erasable
    payload holds the comment; found by `run_id` here and in that record's facts.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    run_id = models.UUIDField()
    agent_id = models.UUIDField()
    version_id = models.UUIDField()
    user_id = models.UUIDField(null=True)
    score = models.SmallIntegerField(null=True)
    thumb = models.SmallIntegerField(null=True)
    seq = models.IntegerField(default=1)
    created_at = models.DateTimeField()

    class Meta(TenantModel.Meta):
        constraints = (
            models.UniqueConstraint(fields=["run_id", "user_id"], name="one_feedback_each"),
            models.UniqueConstraint(
                fields=["run_id"], condition=models.Q(user_id__isnull=True), name="one_feedback_by_link"
            ),
        )
        indexes = (
            models.Index(fields=["tenant_id", "agent_id", "version_id"], name="feedback_of_version"),
            models.Index(fields=["tenant_id", "agent_id", "created_at", "id"], name="feedback_of_agent"),
        )

    def __str__(self) -> str:
        return f"feedback on run {self.run_id}"


class FeedbackWish(TenantModel):
    """Immutable: a run whose result is told with a link for feedback."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    run_id = models.UUIDField()

    class Meta(TenantModel.Meta):
        constraints = (models.UniqueConstraint(fields=["run_id"], name="one_wish_per_run"),)

    def __str__(self) -> str:
        return f"link of run {self.run_id}"

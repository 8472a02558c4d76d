"""Mutable: where questions wait, and who works them."""

from django.db import models

from db.models import TenantModel, new_id
from escalations.risk import GREAT
from tenants.models.tenant import SLUG


class Queue(TenantModel):
    """A queue by slug. due_s: seconds until a question in it is due, when nothing else says; null for never.

    escalate_to: slug of the queue that what is overdue goes to; null for none. own_undo_s: seconds for which an answer
    can be taken back before it takes effect; 0 for none, null for what the tenant says. undo_s: what the release before
    wrote and reads in its place: the same, but for 0, which it wrote for null, too. must_open_from: from which priority
    (0 to 100) on nobody decides in bulk on what they never opened.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    slug = models.CharField(max_length=63, validators=[SLUG])
    due_s = models.IntegerField(null=True)
    escalate_to = models.CharField(max_length=63, null=True)  # noqa: DJ001 - absent is not empty
    undo_s = models.IntegerField(db_default=0, default=0)
    own_undo_s = models.IntegerField(null=True)
    must_open_from = models.SmallIntegerField(db_default=GREAT, default=GREAT)

    class Meta(TenantModel.Meta):
        constraints = (models.UniqueConstraint(fields=["tenant_id", "slug"], name="one_queue_per_slug"),)

    def __str__(self) -> str:
        return self.slug

    @property
    def said_undo_s(self) -> int | None:
        """What the queue itself says; None when it leaves it to the tenant."""
        return self.own_undo_s if self.own_undo_s is not None else self.undo_s or None


class QueueMember(TenantModel):
    """A member who works a queue."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    queue = models.ForeignKey(Queue, on_delete=models.CASCADE, related_name="members")
    user = models.ForeignKey("tenants.User", on_delete=models.CASCADE)

    class Meta(TenantModel.Meta):
        constraints = (models.UniqueConstraint(fields=["queue", "user"], name="one_member_per_queue"),)

    def __str__(self) -> str:
        return f"{self.user_id} works {self.queue_id}"


class QueueTeam(TenantModel):
    """A team that works a queue."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    queue = models.ForeignKey(Queue, on_delete=models.CASCADE, related_name="teams")
    team = models.ForeignKey("tenants.Team", on_delete=models.CASCADE)

    class Meta(TenantModel.Meta):
        constraints = (models.UniqueConstraint(fields=["queue", "team"], name="one_team_per_queue"),)

    def __str__(self) -> str:
        return f"{self.team_id} works {self.queue_id}"

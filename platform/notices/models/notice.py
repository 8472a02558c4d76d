"""Mutable: what one member is to be told."""

from django.db import models

from db.models import TenantModel, new_id


class Notice(TenantModel):
    """One happening for one member; there is no second one, whoever looks how often.

    send_at: when it is told, as the member prefers. letter: in which it is, or was.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    user = models.ForeignKey("tenants.User", on_delete=models.CASCADE, related_name="+")
    happening_id = models.UUIDField()
    kind = models.CharField(max_length=10)
    escalation_id = models.UUIDField()
    at = models.DateTimeField()
    send_at = models.DateTimeField()
    letter = models.ForeignKey("notices.Letter", null=True, on_delete=models.CASCADE, related_name="notices")

    class Meta(TenantModel.Meta):
        constraints = (models.UniqueConstraint(fields=["happening_id", "user"], name="told_once_each"),)
        indexes = (models.Index(fields=["send_at"], name="notice_due", condition=models.Q(letter__isnull=True)),)

    def __str__(self) -> str:
        return f"{self.kind} of {self.escalation_id} for {self.user_id}"

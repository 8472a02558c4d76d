"""Mutable: one e-mail on its way to one member, and what came of each attempt."""

from django.db import models

from db.models import TenantModel, new_id


class Letter(TenantModel):
    """The notices that name it are what it tells; its text is made of them when it is sent, and kept nowhere.

    status: pending, sent, failed, void (nothing was left to tell). next_at: when it is tried next, or taken for lost by
    who tries it; null when nothing more is tried. attempts: made so far, which is also the fence: who took it may send
    it while this is the number it had then. error: why the last attempt failed, without address or content.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    user = models.ForeignKey("tenants.User", on_delete=models.CASCADE, related_name="+")
    status = models.CharField(max_length=10, default="pending")
    attempts = models.IntegerField(default=0)
    created_at = models.DateTimeField()
    next_at = models.DateTimeField(null=True)
    sent_at = models.DateTimeField(null=True)
    error = models.CharField(max_length=100, null=True)  # noqa: DJ001 - absent is not empty

    class Meta(TenantModel.Meta):
        indexes = (
            models.Index(fields=["next_at"], name="letter_due", condition=models.Q(next_at__isnull=False)),
            models.Index(fields=["tenant_id", "created_at"], name="letter_of_tenant"),
        )

    def __str__(self) -> str:
        return f"letter {self.id}"

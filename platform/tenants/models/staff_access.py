"""Mutable: when platform staff may look into a tenant."""

from django.db import models

from db.models import TenantModel, new_id


class StaffAccess(TenantModel):
    """A look into a tenant, opened for one of the platform's staff (break-glass). Open until closed or expired.

    record_id: the journal's record of the opening, whose payload holds the reason.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    user = models.ForeignKey("tenants.User", on_delete=models.PROTECT, related_name="+")
    record_id = models.UUIDField()
    opened_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True)

    class Meta(TenantModel.Meta):
        constraints = (
            models.UniqueConstraint(
                fields=["tenant_id", "user"],
                condition=models.Q(closed_at=None),
                name="one_unclosed_access_each",
            ),
        )

    def __str__(self) -> str:
        return f"{self.user_id} until {self.expires_at}"

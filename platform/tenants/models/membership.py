"""Mutable: who belongs to a tenant, and as what."""

from django.db import models

from db.models import TenantModel, new_id


class Role(models.TextChoices):
    """What a member may do by role; object grants come on top (`access`)."""

    VIEWER = "viewer"
    REVIEWER = "reviewer"
    OPERATOR = "operator"
    DEVELOPER = "developer"
    COMPLIANCE = "compliance"
    OWNER = "owner"


class Membership(TenantModel):
    """A user's place in a tenant.

    is_active: False keeps the place but takes everything it allows; `User.is_active` does the same in every tenant.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    user = models.ForeignKey("tenants.User", on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=20, choices=Role.choices)
    is_active = models.BooleanField(default=True, db_default=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta(TenantModel.Meta):
        constraints = (models.UniqueConstraint(fields=["tenant_id", "user"], name="one_membership_each"),)

    def __str__(self) -> str:
        return f"{self.user_id} as {self.role}"

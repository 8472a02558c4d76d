"""Mutable: who was asked to become a member."""

from django.db import models

from db.models import TenantModel, new_id
from tenants.models.membership import Role


class Invitation(TenantModel):
    """An invitation by e-mail. It is pending until it was accepted or revoked, or has expired.

    email: lower-case; whoever accepts must have that address. digest: SHA-256 of the token (256 random bits), which
    stands in the link alone. invited_by: the owner who asked; null for a command.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    email = models.EmailField()
    role = models.CharField(max_length=20, choices=Role.choices)
    digest = models.BinaryField(unique=True)
    invited_by = models.ForeignKey("tenants.User", null=True, on_delete=models.CASCADE, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    accepted_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)

    class Meta(TenantModel.Meta):
        constraints = (
            models.UniqueConstraint(
                fields=["tenant_id", "email"],
                condition=models.Q(accepted_at=None, revoked_at=None),
                name="one_open_invitation_per_address",
            ),
        )

    def __str__(self) -> str:
        return f"invitation {self.id} as {self.role}"

"""Mutable: who stands in for whom while they are away."""

from django.db import models

from db.models import TenantModel, new_id


class Delegation(TenantModel):
    """From `starts_at` (included) to `ends_at` (excluded) `delegate` may review what `user` may."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    user = models.ForeignKey("tenants.User", on_delete=models.CASCADE, related_name="+")
    delegate = models.ForeignKey("tenants.User", on_delete=models.CASCADE, related_name="+")
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta(TenantModel.Meta):
        indexes = (models.Index(fields=["tenant_id", "delegate", "ends_at"], name="delegation_now"),)

    def __str__(self) -> str:
        return f"{self.delegate_id} stands in for {self.user_id}"

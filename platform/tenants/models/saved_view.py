"""Mutable: how a member narrows a list, by the name they gave it."""

from django.db import models

from db.models import TenantModel, new_id
from tenants.models.tenant import NAME_LENGTH


class SavedView(TenantModel):
    """One member's view of a list: theirs alone.

    place: the list, `inbox` or `runs`. query: what it is narrowed to, as in the address. name: one of its kind for a
    member and a place; what a person typed, so records hold it in their payload only.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    user = models.ForeignKey("tenants.User", on_delete=models.CASCADE, related_name="+")
    place = models.CharField(max_length=20)
    name = models.CharField(max_length=NAME_LENGTH)
    query = models.CharField(max_length=500)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta(TenantModel.Meta):
        constraints = (
            models.UniqueConstraint(fields=["tenant_id", "user", "place", "name"], name="one_view_per_name"),
        )

    def __str__(self) -> str:
        return f"{self.place} of {self.user_id}"

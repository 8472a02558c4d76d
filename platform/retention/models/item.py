"""Mutable: the runs of an erasure."""

from django.db import models

from db.models import TenantModel


class Item(TenantModel):
    """One run that an erasure is to erase. erased_at: null before that."""

    pk = models.CompositePrimaryKey("tenant_id", "order_id", "run_id")
    order_id = models.UUIDField()
    run_id = models.UUIDField()
    erased_at = models.DateTimeField(null=True)

    class Meta(TenantModel.Meta):
        indexes = (
            models.Index(
                fields=["tenant_id", "order_id"], name="item_left", condition=models.Q(erased_at__isnull=True)
            ),
        )

    def __str__(self) -> str:
        return f"run {self.run_id} of erasure {self.order_id}"

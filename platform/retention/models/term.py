"""Mutable: for how long a tenant keeps what concerns people, by class."""

from django.db import models

from db.models import TenantModel
from retention.classes import LEAST_DAYS, MOST_DAYS


class Term(TenantModel):
    """kind: see `retention.classes`. days: how long payloads of the class are kept, as `Order.terms` says as well: what
    erases goes by that.

    upto: how far this round has come (an id of the class's own order); look_at: when it goes on.
    """

    pk = models.CompositePrimaryKey("tenant_id", "kind")
    kind = models.CharField(max_length=20)
    days = models.IntegerField()
    upto = models.UUIDField(null=True)
    look_at = models.DateTimeField()

    class Meta(TenantModel.Meta):
        constraints = (
            models.CheckConstraint(condition=models.Q(days__range=(LEAST_DAYS, MOST_DAYS)), name="term_in_bounds"),
        )
        indexes = (models.Index(fields=["look_at"], name="term_due"),)

    def __str__(self) -> str:
        return f"{self.kind}: {self.days} days"

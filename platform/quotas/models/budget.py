"""Mutable: what may be spent, and what has been."""

from django.db import models

from db.models import TenantModel, new_id


class Budget(TenantModel):
    """A limit over a calendar month (UTC).

    of: what it limits; so far the whole tenant. usd_nano: billionths of a US dollar; tokens: of all kinds together.
    A null is no limit.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    of = models.CharField(max_length=10, default="tenant")
    usd_nano = models.BigIntegerField(null=True)
    tokens = models.BigIntegerField(null=True)

    class Meta(TenantModel.Meta):
        constraints = (models.UniqueConstraint(fields=["tenant_id", "of"], name="one_budget_each"),)

    def __str__(self) -> str:
        return f"budget of the {self.of}"


class Window(TenantModel):
    """What one month's runs have reserved and spent. No reservation takes spent + reserved past the budget's limit."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    budget = models.ForeignKey(Budget, on_delete=models.CASCADE)
    starts_on = models.DateField()
    reserved_usd_nano = models.BigIntegerField(default=0)
    reserved_tokens = models.BigIntegerField(default=0)
    spent_usd_nano = models.BigIntegerField(default=0)
    spent_tokens = models.BigIntegerField(default=0)

    class Meta(TenantModel.Meta):
        constraints = (
            models.UniqueConstraint(fields=["budget", "starts_on"], name="one_window_a_month"),
            models.CheckConstraint(
                condition=models.Q(reserved_usd_nano__gte=0, reserved_tokens__gte=0), name="reserved_not_negative"
            ),
        )

    def __str__(self) -> str:
        return f"{self.budget_id} {self.starts_on:%Y-%m}"

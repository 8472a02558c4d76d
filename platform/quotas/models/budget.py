"""Mutable: what may be spent, and what has been."""

from django.db import models

from db.models import TenantModel, new_id


class Budget(TenantModel):
    """A limit over each calendar day or month (UTC) on what a tenant's runs spend together.

    of: what it limits: the whole `tenant`, one `agent`, or one `user` as whom runs act for; of_id: that one's id, null
    for the tenant. period: `month` or `day`. usd_nano: billionths of a US dollar; tokens: of all kinds together. A null
    is no limit. soft: share of a limit, over 0 and below 1, that is told of once a window when it is spent; null for
    none. name: of its document; the tenant's month is there without one, since it counts also where nothing is limited.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    of = models.CharField(max_length=10, default="tenant")
    of_id = models.UUIDField(null=True)
    period = models.CharField(max_length=5, db_default="month")
    name = models.CharField(max_length=100, null=True)  # noqa: DJ001 - absent is not empty
    usd_nano = models.BigIntegerField(null=True)
    tokens = models.BigIntegerField(null=True)
    soft = models.DecimalField(max_digits=4, decimal_places=3, null=True)

    class Meta(TenantModel.Meta):
        constraints = (
            models.UniqueConstraint(
                fields=["tenant_id", "period"], condition=models.Q(of="tenant"), name="one_budget_of_a_tenant"
            ),
            models.UniqueConstraint(
                fields=["tenant_id", "of", "of_id", "period"],
                condition=models.Q(of_id__isnull=False),
                name="one_budget_of_each",
            ),
            models.UniqueConstraint(
                fields=["tenant_id", "name"], condition=models.Q(name__isnull=False), name="one_budget_of_a_name"
            ),
        )

    def __str__(self) -> str:
        return f"budget of the {self.of}"


class Window(TenantModel):
    """What one day's or month's runs have reserved and spent.

    No reservation takes spent + reserved past the budget's limit and what people have added to it (`extra`), for this
    window alone. soft_told: whether somebody was told that the soft limit is spent.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    budget = models.ForeignKey(Budget, on_delete=models.CASCADE)
    starts_on = models.DateField()
    reserved_usd_nano = models.BigIntegerField(default=0)
    reserved_tokens = models.BigIntegerField(default=0)
    spent_usd_nano = models.BigIntegerField(default=0)
    spent_tokens = models.BigIntegerField(default=0)
    extra_usd_nano = models.BigIntegerField(db_default=0)
    extra_tokens = models.BigIntegerField(db_default=0)
    soft_told = models.BooleanField(db_default=False)

    class Meta(TenantModel.Meta):
        constraints = (
            models.UniqueConstraint(fields=["budget", "starts_on"], name="one_window_a_month"),
            models.CheckConstraint(
                condition=models.Q(reserved_usd_nano__gte=0, reserved_tokens__gte=0), name="reserved_not_negative"
            ),
        )

    def __str__(self) -> str:
        return f"{self.budget_id} {self.starts_on}"

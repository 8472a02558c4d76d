"""Mutable: how a member wants to be written to."""

from django.db import models

from db.models import TenantModel, new_id


class Preference(TenantModel):
    """mode: `at_once`, `hourly`, `daily` or `none`; who has no row has `at_once`.

    hour: of the day that a daily digest is sent at, 0 to 23, on the clock of time_zone, a name of the IANA database.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    user = models.ForeignKey("tenants.User", on_delete=models.CASCADE, related_name="+")
    mode = models.CharField(max_length=10, default="at_once")
    hour = models.SmallIntegerField(default=8)
    time_zone = models.CharField(max_length=64, default="UTC")

    class Meta(TenantModel.Meta):
        constraints = (models.UniqueConstraint(fields=["tenant_id", "user"], name="one_preference_each"),)

    def __str__(self) -> str:
        return f"{self.mode} for {self.user_id}"

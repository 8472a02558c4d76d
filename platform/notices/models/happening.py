"""Mutable: something that people may have to be written to about, until it is found out who."""

from django.db import models

from db.models import TenantModel, new_id


class Happening(TenantModel):
    """Made by the database in the transaction of what it tells (`notices_tell`), gone when its notices are made.

    kind: see `notices.kinds`. look_at: when it is looked at next.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    kind = models.CharField(max_length=10)
    escalation_id = models.UUIDField()
    at = models.DateTimeField()
    look_at = models.DateTimeField()

    class Meta(TenantModel.Meta):
        indexes = (models.Index(fields=["look_at"], name="happening_look"),)

    def __str__(self) -> str:
        return f"{self.kind} of {self.escalation_id}"

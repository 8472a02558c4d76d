"""Mutable: what the supplier of models counts against the tokens of a minute (`quotas.provider` writes it)."""

from django.db import models

from db.models import new_id


class ModelCall(models.Model):
    """A call of a model, the installation's as a whole: the supplier's limits know no tenants.

    worker: number of the session that makes it. tokens: at most, until it has ended; then what it used. counts_until:
    when it no longer counts; null while it is in the air.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    worker = models.IntegerField()
    tokens = models.BigIntegerField()
    counts_until = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return str(self.id)

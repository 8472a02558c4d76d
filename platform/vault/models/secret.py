"""Mutable: a tenant's secret, encrypted."""

from django.db import models

from db.models import TenantModel, new_id


class Secret(TenantModel):
    """A secret by name. sealed: ciphertext that names its key (`vault.crypto`), bound to tenant and name."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    name = models.CharField(max_length=63)
    sealed = models.TextField()
    updated_at = models.DateTimeField(auto_now=True)

    class Meta(TenantModel.Meta):
        constraints = (models.UniqueConstraint(fields=["tenant_id", "name"], name="one_secret_per_name"),)

    def __str__(self) -> str:
        return self.name

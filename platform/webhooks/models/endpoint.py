"""Mutable: somebody outside who is told what happens."""

from django.contrib.postgres.fields import ArrayField
from django.db import models

from db.models import TenantModel, new_id
from tenants.models.tenant import SLUG


class Endpoint(TenantModel):
    """Where a tenant's events go. events: the types that are sent; none for all of them.

    form: of the body, of `webhooks.events.FORMS`.
    sealed, sealed_former: the secret that signs, and the one before it, which signs too until `former_until`; encrypted
    by the vault. secret_name: the vault's secret that signs in their place. is_active: False when its owner paused it,
    or it answered that it is gone (410).
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    name = models.CharField(max_length=63, validators=[SLUG])
    url = models.CharField(max_length=2000)
    events = ArrayField(models.CharField(max_length=40), default=list)
    sealed = models.TextField(default="")
    sealed_former = models.TextField(default="")
    former_until = models.DateTimeField(null=True)
    form = models.CharField(max_length=10, default="standard", db_default="standard")
    secret_name = models.CharField(max_length=63, null=True)  # noqa: DJ001 - absent is not empty
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta(TenantModel.Meta):
        constraints = (models.UniqueConstraint(fields=["tenant_id", "name"], name="one_webhook_per_name"),)

    def __str__(self) -> str:
        return self.name

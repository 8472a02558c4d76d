"""Mutable: what a tenant demands of calls of its tools, whichever agent makes them."""

from django.db import models

from db.fields import OrderedJSONField
from db.models import TenantModel, new_id


class Policy(TenantModel):
    """A policy by name. document: its `spec` as written; number: grows with each change, and begins at 1."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    name = models.CharField(max_length=63)
    number = models.PositiveIntegerField(default=1)
    document = OrderedJSONField()
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta(TenantModel.Meta):
        constraints = (models.UniqueConstraint(fields=["tenant_id", "name"], name="one_policy_per_name"),)

    def __str__(self) -> str:
        return self.name


class PolicySet(TenantModel):
    """One row for a tenant that has had a policy. version: grows with each change of any; steps are planned by it."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    version = models.IntegerField(default=0)

    class Meta(TenantModel.Meta):
        constraints = (models.UniqueConstraint(fields=["tenant_id"], name="one_policy_set_per_tenant"),)

    def __str__(self) -> str:
        return f"policies of {self.tenant_id}, version {self.version}"

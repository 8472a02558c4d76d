"""Mutable: where a tenant's people sign in, when not here."""

from django.db import models

from db.models import TenantModel, new_id
from tenants.models import Role
from tenants.models.tenant import NAME_LENGTH, SLUG


class IdentityProvider(TenantModel):
    """A tenant's OpenID Connect provider. What it says of a person is good in this tenant and nowhere else.

    issuer: never changes, as accounts are bound to (id, subject). sealed_secret: the client secret, encrypted by the
    vault; "" for a client without one. joins_as: the role that people new to the installation get, or "" when
    membership is by invitation only. enforced: whether members of its domains reach the tenant by it alone.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    slug = models.CharField(max_length=63, validators=[SLUG])
    name = models.CharField(max_length=NAME_LENGTH)
    issuer = models.CharField(max_length=500)
    client_id = models.CharField(max_length=191)
    sealed_secret = models.TextField(blank=True)
    joins_as = models.CharField(max_length=20, choices=Role.choices, blank=True)
    enforced = models.BooleanField(default=False)
    enabled = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta(TenantModel.Meta):
        constraints = (models.UniqueConstraint(fields=["tenant_id", "slug"], name="one_provider_per_slug"),)

    def __str__(self) -> str:
        return self.slug

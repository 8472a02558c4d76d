"""Mutable: what a client application signs in with."""

from django.contrib.postgres.fields import ArrayField
from django.db import models

from db.models import TenantModel, new_id


class ApiKey(TenantModel):
    """A key names its tenant and its principal, and never does more than its scopes and its principal.

    prefix: the first characters, shown in lists. digest: SHA-256 of the whole key (256 random bits need no slow hash).
    expires_at, revoked_at: null when not set. The key itself is shown once and kept nowhere.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    name = models.CharField(max_length=200)
    prefix = models.CharField(max_length=16)
    digest = models.BinaryField(unique=True)
    scopes = ArrayField(models.CharField(max_length=40))
    principal = models.ForeignKey("tenants.User", on_delete=models.CASCADE)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"

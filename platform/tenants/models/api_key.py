"""Mutable: what a client application signs in with."""

from django.contrib.postgres.fields import ArrayField
from django.db import models

from db.models import TenantModel, new_id


class ApiKey(TenantModel):
    """A key names its tenant and its principal, and never does more than its scopes and its principal.

    prefix: the first characters, shown in lists. digest: SHA-256 of the whole key (256 random bits need no slow hash).
    expires_at, revoked_at: null when not set. The key itself is shown once and kept nowhere.
    last_used_at: exact to a minute, so that no request waits for another's; null when never.
    successor: the key that took its place; until `expires_at` both work.
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
    last_used_at = models.DateTimeField(null=True)
    successor = models.OneToOneField("self", null=True, on_delete=models.PROTECT, related_name="predecessor")

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"

"""Append only but for the seal: the keys by which a tenant's values are found again without being kept."""

from django.db import models

from db.models import TenantModel, new_id


class HashKey(TenantModel):
    """One key of a tenant; the one with the greatest number hashes, all of them are looked for (`vault.hashing`).

    sealed: 32 random bytes as hex, encrypted by the vault.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    number = models.SmallIntegerField()
    sealed = models.TextField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta(TenantModel.Meta):
        constraints = (models.UniqueConstraint(fields=["tenant_id", "number"], name="one_hash_key_per_number"),)

    def __str__(self) -> str:
        return f"hash key {self.number}"

"""Append and delete only: the keys that something here is sealed with."""

from django.db import models


class FieldKey(models.Model):
    """A key of FIELD_KEYS that has sealed something in this database, by its public name (`vault.crypto.key_id`).

    The row goes when `secret rotate` has found nothing that needs the key any more. It belongs to no tenant.
    """

    id = models.CharField(primary_key=True, max_length=8)
    first_used_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.id

"""Mutable: attempts that were counted and codes that were used, each for a while (`signin.counts` writes them)."""

from django.db import models


class Count(models.Model):
    """An entry of the installation as a whole; guesses are made before anybody is of a tenant.

    key: SHA-256 of what is counted, 32 bytes. value: JSON. expires_at: when it is forgotten.
    """

    key = models.BinaryField(primary_key=True)
    value = models.TextField()
    expires_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return bytes(self.key).hex()

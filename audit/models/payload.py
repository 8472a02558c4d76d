"""Erasable: what a record's commitment commits to, with its salt."""

from django.db import models

from db.models import TenantModel


class Payload(TenantModel):
    """Everything about persons in a record: arguments, outputs, names, digests.

    record_id: the record's id. salt: 16 random bytes. value: canonical JSON text (text, not jsonb: the bytes are what
    the commitment covers, and jsonb would refuse NUL and rewrite numbers).
    """

    record_id = models.UUIDField(primary_key=True)
    salt = models.BinaryField()
    value = models.TextField()

    class Meta(TenantModel.Meta):
        managed = False
        db_table = "audit_payload"

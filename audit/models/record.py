"""Immutable: what happened, for ever, without anything about a person."""

from typing import Any
from uuid import UUID

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper

from db.models import TenantModel


class FactsField(models.JSONField):
    """JSON kept as it was written: the type `json`, whose values the driver hands over read."""

    def db_type(self, connection: BaseDatabaseWrapper) -> str:
        return "json"

    def from_db_value(self, value: Any, expression: Any, connection: BaseDatabaseWrapper) -> Any:
        return value


class Record(TenantModel):
    """One fact. The database forbids changing or removing it.

    id: UUIDv7 whose time is `at`; the table is partitioned by it, and records of one transaction ascend in it.
    at: when the statement that appended it began, on the database's clock.
    v: version of the event type's shape. stream: the run (or other object) the fact is about.
    seq: 1, 2, 3 … within a run's stream; null elsewhere.
    action: event type. actor: who, as an opaque id such as `user:…`, `key:…`, `engine`.
    subject: what else it concerns, as an opaque id; null when it is the stream itself.
    outcome: `ok`, `denied` or `failed`. facts: opaque ids, codes and numbers only.
    commitment: SHA-256 over salt and canonical payload; null when there never was a payload.
    """

    id = models.UUIDField(primary_key=True)
    at = models.DateTimeField()
    v = models.SmallIntegerField()
    stream: "models.UUIDField[UUID, UUID]" = models.UUIDField()
    seq = models.IntegerField(null=True)
    action = models.TextField()
    actor = models.TextField()
    subject = models.TextField(null=True)  # noqa: DJ001 - absent is not empty: the leaf says null
    outcome = models.TextField()
    facts = FactsField()
    commitment = models.BinaryField(null=True)

    class Meta(TenantModel.Meta):
        managed = False
        db_table = "audit_record"

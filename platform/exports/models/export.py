"""Mutable: a part of the log that somebody asked for as a file, and how far it is made."""

from django.db import models

from db.models import TenantModel, new_id


class Export(TenantModel):
    """Made step by step, by whichever worker holds it; each step is one transaction with the parts that it added.

    format: bundle, csv, jsonl, ocsf. since, until: the period's ends, open where null. filter: `audit.exports.rows`'
    `Filter`, opaque ids alone. payloads: whether what concerns people is in it. asked_by: the actor, an opaque id.
    status: queued, running, ready, failed, expired. next_at: when a worker looks at it next: to go on, or to let it go;
    null when there is nothing more to do. epoch: the number of the hold on it, which every step names. state: where the
    next step begins, and as `waits_for` what is waited for: writers or seal. done, total: records, total null while it
    is not known. percent: 0 to 100. size: bytes of what is there. error: a code, and detail: a sentence, of one that
    failed.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    format = models.CharField(max_length=10)
    since = models.DateTimeField(null=True)
    until = models.DateTimeField(null=True)
    filter = models.JSONField(default=dict)
    payloads = models.BooleanField(default=True)
    asked_by = models.CharField(max_length=100)
    status = models.CharField(max_length=10, default="queued")
    created_at = models.DateTimeField()
    next_at = models.DateTimeField(null=True)
    epoch = models.IntegerField(default=0)
    state = models.JSONField(default=dict)
    done = models.BigIntegerField(default=0)
    total = models.BigIntegerField(null=True)
    percent = models.SmallIntegerField(default=0)
    size = models.BigIntegerField(default=0)
    ready_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(null=True)
    error = models.CharField(max_length=60, null=True)  # noqa: DJ001 - absent is not empty
    detail = models.CharField(max_length=500, null=True)  # noqa: DJ001

    class Meta(TenantModel.Meta):
        indexes = (
            models.Index(fields=["next_at"], name="export_due", condition=models.Q(next_at__isnull=False)),
            models.Index(fields=["tenant_id", "id"], name="export_of_tenant"),
        )

    def __str__(self) -> str:
        return f"{self.format} of {self.created_at:%Y-%m-%d}"

"""Mutable: a run as queue entry, fence and summary. What happened in it stands in the journal."""

from django.db import models

from db.models import TenantModel, new_id


class Run(TenantModel):
    """One run of an agent's version.

    status, waiting_for, doing: where it stands (`agents.core.lifecycle`); doing names the step in progress.
    seq: number of its last event; epoch: number of its current lease. Every write of a worker is conditional on both.
    ready_at: its place in the queue, null when it cannot be claimed. One that was begun has that of its submission.
    due_at: when its timer or its lease runs out.
    tries: how often it was taken up since it last got any further (docs/adr/0011).
    worker: who holds the lease, for operators to see. engine: what dispatches it, for life; null for the default one.
    principal: whom it acts for; requested_by: who asked. parent: the run it is part of, for life; null for most. What a
    child calls, everybody up the line must hold. retry_of_id: the run that this one tries again; reverses_id: the one
    that it undoes.
    is_unheard: of a child that has ended, whether its parent's row does not hold what it used (yet); null for others.
    callback_url: who is told of its end (`webhooks`).
    output_seq: the event whose payload holds the output or the error; null before the end.
    cost and reserved amounts: nano-USD and tokens; reserved_window: the first day of the month they were reserved in.
    idempotency_key, request_digest: the client's key and the SHA-256 (hex) of what it asked with it.
    dedupe_key: the keyed hash of what was asked, for agents that serve identical requests once; null for others.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    # No index of their own: each costs every run several index writes, and nothing looks runs up by them alone.
    agent = models.ForeignKey("agents.Agent", on_delete=models.PROTECT, db_index=False)
    version = models.ForeignKey("agents.AgentVersion", on_delete=models.PROTECT, db_index=False)
    principal = models.ForeignKey("tenants.User", on_delete=models.PROTECT, related_name="+", db_index=False)
    requested_by = models.ForeignKey("tenants.User", on_delete=models.PROTECT, related_name="+", db_index=False)
    callback_url = models.CharField(max_length=2000, null=True)  # noqa: DJ001
    retry_of_id = models.UUIDField(null=True)
    reverses_id = models.UUIDField(null=True)
    is_unheard = models.BooleanField(null=True)
    parent = models.ForeignKey("self", null=True, on_delete=models.PROTECT, related_name="children", db_index=False)
    status = models.CharField(max_length=10, default="queued")
    waiting_for = models.CharField(max_length=10, null=True)  # noqa: DJ001 - absent is not empty
    doing = models.CharField(max_length=80, null=True)  # noqa: DJ001
    seq = models.IntegerField(default=0)
    epoch = models.IntegerField(default=0)
    priority = models.SmallIntegerField(default=0)
    ready_at = models.DateTimeField(null=True)
    due_at = models.DateTimeField(null=True)
    tries = models.SmallIntegerField(db_default=0)
    worker = models.CharField(max_length=100, null=True)  # noqa: DJ001
    engine = models.CharField(max_length=10, null=True)  # noqa: DJ001
    created_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    deadline = models.DateTimeField(null=True)
    output_seq = models.IntegerField(null=True)
    error_code = models.CharField(max_length=60, null=True)  # noqa: DJ001
    model_calls = models.IntegerField(default=0)
    tool_calls = models.IntegerField(default=0)
    input_tokens = models.BigIntegerField(default=0)
    output_tokens = models.BigIntegerField(default=0)
    cache_read_input_tokens = models.BigIntegerField(default=0)
    cache_creation_input_tokens = models.BigIntegerField(default=0)
    cost_nano = models.BigIntegerField(default=0)
    reserved_usd_nano = models.BigIntegerField(default=0)
    reserved_tokens = models.BigIntegerField(default=0)
    reserved_window = models.DateField(null=True)
    idempotency_key = models.CharField(max_length=255, null=True)  # noqa: DJ001
    request_digest = models.CharField(max_length=64, null=True)  # noqa: DJ001
    dedupe_key = models.CharField(max_length=64, null=True)  # noqa: DJ001
    metadata = models.JSONField(default=dict)

    class Meta(TenantModel.Meta):
        constraints = (
            models.UniqueConstraint(
                fields=["tenant_id", "requested_by", "idempotency_key"],
                condition=models.Q(idempotency_key__isnull=False),
                name="one_run_per_idempotency_key",
            ),
        )
        # Newest first they are read from the unique index over (tenant_id, id), which `parent` refers to.
        indexes = (
            models.Index(
                "tenant_id",
                models.F("priority").desc(),
                "ready_at",
                name="run_ready",
                condition=models.Q(ready_at__isnull=False),
            ),
            models.Index(
                "tenant_id",
                models.F("priority").desc(),
                "ready_at",
                name="run_ready_begun",
                condition=models.Q(ready_at__isnull=False) & ~models.Q(status="queued"),
            ),
            models.Index(fields=["due_at"], name="run_due", condition=models.Q(due_at__isnull=False)),
            models.Index(fields=["tenant_id", "status", "-id"], name="run_by_status"),
            models.Index(fields=["tenant_id", "agent", "-id"], name="run_by_agent"),
            models.Index(
                fields=["tenant_id", "dedupe_key", "-created_at"],
                name="run_by_dedupe_key",
                condition=models.Q(dedupe_key__isnull=False),
            ),
            models.Index(fields=["parent"], name="run_by_parent", condition=models.Q(parent__isnull=False)),
            models.Index(
                fields=["tenant_id", "retry_of_id"],
                name="run_by_retried",
                condition=models.Q(retry_of_id__isnull=False),
            ),
            models.Index(
                fields=["tenant_id", "reverses_id"],
                name="run_by_undone",
                condition=models.Q(reverses_id__isnull=False),
            ),
        )

    def __str__(self) -> str:
        return f"run {self.id}"

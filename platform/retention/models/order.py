"""Mutable: what one person asks for and another confirms."""

from typing import Final

from django.contrib.postgres.fields import ArrayField
from django.db import models

from db.models import TenantModel, new_id

#: (status, happening) → status. Everything else is refused.
TRANSITIONS: Final[dict[tuple[str, str], str]] = {
    ("asked", "confirmed"): "confirmed",
    ("asked", "refused"): "refused",
    ("confirmed", "released"): "released",
    ("confirmed", "done"): "done",
}


class Order(TenantModel):
    """A hold, the release of one, an erasure, or new terms of retention.

    kind: hold, release, erasure, terms. status: see `TRANSITIONS`; a hold stands while it is confirmed, an erasure is
    under way while it is confirmed, and a release and terms have done all with that.
    asked_by_id, decided_by_id: persons, never the same one but when who asked takes it back. reason: never names the
    subject. ended_at: when it was released or done.
    A hold is over a run (and the whole tree that it is in), an agent's runs, what happened from `since` to before
    `until`, or a subject. sealed_subject: the subject, encrypted by the vault while it is needed, "" after;
    digests: its keyed hashes (`agents.engine.about`). of_id: the hold that a release ends. terms: class → days, or null
    for ever.
    runs, payloads: what was erased up to now. look_at: when there is something to do (`retention.erasing`).
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    kind = models.CharField(max_length=10)
    status = models.CharField(max_length=10, default="asked")
    reason = models.CharField(max_length=1000)
    asked_by_id = models.UUIDField()
    asked_at = models.DateTimeField()
    decided_by_id = models.UUIDField(null=True)
    decided_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    run_id = models.UUIDField(null=True)
    agent_id = models.UUIDField(null=True)
    since = models.DateTimeField(null=True)
    until = models.DateTimeField(null=True)
    sealed_subject = models.TextField(default="")
    digests = ArrayField(models.CharField(max_length=64), null=True)
    of_id = models.UUIDField(null=True)
    terms = models.JSONField(null=True)
    runs = models.IntegerField(default=0)
    payloads = models.BigIntegerField(default=0)
    look_at = models.DateTimeField(null=True)

    class Meta(TenantModel.Meta):
        constraints = (
            models.CheckConstraint(
                condition=models.Q(status__in=("asked", "refused"))
                | (models.Q(decided_by_id__isnull=False) & ~models.Q(decided_by_id=models.F("asked_by_id"))),
                name="two_persons_confirm",
            ),
            models.UniqueConstraint(
                fields=["tenant_id", "of_id"],
                condition=models.Q(kind="release", status="asked"),
                name="one_release_asked_per_hold",
            ),
            models.UniqueConstraint(
                fields=["tenant_id"], condition=models.Q(kind="terms", status="asked"), name="one_change_of_terms_asked"
            ),
        )
        indexes = (
            models.Index(fields=["tenant_id", "kind", "-id"], name="order_by_kind"),
            models.Index(
                fields=["tenant_id"], name="hold_in_force", condition=models.Q(kind="hold", status="confirmed")
            ),
            models.Index(fields=["look_at"], name="order_due", condition=models.Q(look_at__isnull=False)),
        )

    def __str__(self) -> str:
        return f"{self.kind} {self.id}"

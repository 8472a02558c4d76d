"""Append and delete only: by whom a run is found again (`agents.actions.subjects` writes them)."""

from django.db import models

from db.models import TenantModel


class RunSubject(TenantModel):
    """That a run is about somebody. digest: the keyed hash (`vault.hashing`, hex) of an id at its agent's `subject`
    pointers; key: the number of the key. No references: runs are never removed, and these go when one is erased.
    """

    pk = models.CompositePrimaryKey("tenant_id", "digest", "run_id")
    digest = models.CharField(max_length=64)
    run_id = models.UUIDField()
    key = models.SmallIntegerField()

    class Meta(TenantModel.Meta):
        indexes = (models.Index(fields=["tenant_id", "run_id"], name="subject_of_run"),)

    def __str__(self) -> str:
        return f"subject of run {self.run_id}"

"""Mutable: some of an export's bytes. In the database, where every worker and every web server finds them."""

from django.db import models

from db.models import TenantModel, new_id


class Part(TenantModel):
    """Bytes that follow each other in the file: parts stand in it by lane, then by n.

    lane: which stretch of the file, as some are written before those that stand in front of them are known. start:
    where it begins in the file, once the file is whole. size: bytes. data: those bytes, compressed (zlib, RFC 1950).
    told: what the end of the file is made of: members of an archive, or leaves without payload.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    export = models.ForeignKey("exports.Export", on_delete=models.CASCADE, related_name="parts")
    lane = models.SmallIntegerField()
    n = models.IntegerField()
    start = models.BigIntegerField(null=True)
    size = models.IntegerField()
    data = models.BinaryField()
    told = models.JSONField(null=True)

    class Meta(TenantModel.Meta):
        constraints = (models.UniqueConstraint(fields=["tenant_id", "export", "lane", "n"], name="one_part_per_place"),)
        indexes = (models.Index(fields=["tenant_id", "export", "start"], name="part_by_start"),)

    def __str__(self) -> str:
        return f"{self.lane}.{self.n}"

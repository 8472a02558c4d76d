"""Mutable: where `sql` tools read."""

from django.db import models

from db.models import TenantModel, new_id


class DataSourceRow(TenantModel):
    """A data source by name. engine: `postgresql` or `sqlite`; url: `secret:NAME`, or a file's name for sqlite."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    name = models.CharField(max_length=63)
    engine = models.CharField(max_length=20)
    url = models.CharField(max_length=500)

    class Meta(TenantModel.Meta):
        db_table = "agents_datasource"
        constraints = (models.UniqueConstraint(fields=["tenant_id", "name"], name="one_source_per_name"),)

    def __str__(self) -> str:
        return self.name

"""A tool (mutable) and its versions (immutable)."""

from django.db import models

from db.fields import OrderedJSONField
from db.models import TenantModel, new_id


class Tool(TenantModel):
    """What a tenant calls a tool; grants are on it. live: the version that agents published from now on pin."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    name = models.CharField(max_length=64)
    live = models.ForeignKey("agents.ToolVersion", null=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta(TenantModel.Meta):
        default_permissions = ()
        permissions = (("use", "May have runs call the tool"),)
        constraints = (models.UniqueConstraint(fields=["tenant_id", "name"], name="one_tool_per_name"),)

    def __str__(self) -> str:
        return self.name


class ToolVersion(TenantModel):
    """One definition, for ever. document: the `spec` as written; digest: SHA-256 (hex) of its canonical form."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    tool = models.ForeignKey(Tool, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    document = OrderedJSONField()
    digest = models.CharField(max_length=64)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta(TenantModel.Meta):
        constraints = (models.UniqueConstraint(fields=["tool", "number"], name="one_tool_version_per_number"),)

    def __str__(self) -> str:
        return f"{self.tool_id} v{self.number}"

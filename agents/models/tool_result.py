"""Mutable: results that are given again (`agents.tools.caching` writes them)."""

from django.db import models

from db.models import TenantModel


class ToolResult(TenantModel):
    """What a call of a tool answered: personal data, here until it expires or is erased.

    key: SHA-256 (hex) of the tenant, whose it is, the tool's definition and the arguments. tool_id; run_id: of the run
    that made the call, for erasure to find; null for none. No references: what is kept here hinders nothing.
    result: JSON, as it was told, without secrets; size: its characters. truncated: whether it was cut. The table is
    not logged: after a crash of the database server it is empty.
    """

    key = models.CharField(max_length=64, primary_key=True, editable=False)
    tool_id = models.UUIDField()
    run_id = models.UUIDField(null=True)
    result = models.TextField()
    size = models.IntegerField()
    truncated = models.BooleanField()
    expires_at = models.DateTimeField()

    class Meta(TenantModel.Meta):
        indexes = (
            models.Index(fields=["expires_at"], name="tool_result_expired"),
            models.Index(fields=["tenant_id", "-expires_at"], include=["size"], name="tool_result_by_tenant"),
            models.Index(fields=["tenant_id", "run_id"], name="tool_result_by_run"),
        )

    def __str__(self) -> str:
        return self.key

"""Mutable: tools whose calls fail (`agents.tools.breaker` writes them)."""

from django.db import models

from agents.models.tool import Tool
from db.models import TenantModel, new_id


class ToolBreaker(TenantModel):
    """The circuit breaker of a tool that failed last; one that is well has no row.

    failures: calls in a row. failed_at: the last of them. opened_at, retry_at: since when no call is made, and from
    when on one is tried; null while calls are made.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    tool = models.ForeignKey(Tool, on_delete=models.CASCADE, related_name="+", db_index=False)
    failures = models.IntegerField()
    failed_at = models.DateTimeField()
    opened_at = models.DateTimeField(null=True)
    retry_at = models.DateTimeField(null=True)

    class Meta(TenantModel.Meta):
        constraints = (models.UniqueConstraint(fields=["tenant_id", "tool"], name="one_breaker_per_tool"),)
        indexes = (
            models.Index(fields=["failed_at"], name="tool_breaker_failed"),
            models.Index(fields=["opened_at"], name="tool_breaker_open", condition=models.Q(opened_at__isnull=False)),
        )

    def __str__(self) -> str:
        return str(self.tool_id)

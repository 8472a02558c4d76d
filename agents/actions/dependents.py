"""What of the tenant speaks of a tool, and cannot be understood any more as the tool is defined now."""

from access import grants
from agents.core.dependents import Break, breaks
from agents.models import Policy, Tool


def broken(tool: Tool, *, with_grants: bool = True) -> list[Break]:
    """Return the policies and conditions of grants that do not type-check with the tool's live definition."""
    if tool.live is None:
        return []
    policies = dict(Policy.objects.values_list("name", "document"))
    given = grants.of(tool) if with_grants else []
    held = {str(each.id): each.condition for each in given if each.condition is not None}
    return list(breaks(tool.name, tool.live.document, policies=policies, grants=held))

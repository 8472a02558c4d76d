"""What uses a secret, so that none is deleted that a definition in force names."""

from agents.actions import tools
from agents.models import DataSourceRow, McpServerRow
from agents.tools.http.config import secrets_of


def of_secret(name: str) -> list[str]:
    """Return what of the tenant in scope names the secret, in words. Versions no longer offered don't count."""
    found = [f"the tool {tool}" for tool, spec in tools.specs().items() if name in _named(spec.get("http"))]
    sources = DataSourceRow.objects.filter(url=f"secret:{name}").order_by("name").values_list("name", flat=True)
    found += [f"the data source {source}" for source in sources]
    servers = McpServerRow.objects.order_by("name").values_list("name", "document")
    return found + [f"the MCP server {server}" for server, spec in servers if name in _named(spec)]


def _named(spec: object) -> set[str]:
    return secrets_of(spec) if isinstance(spec, dict) else set()

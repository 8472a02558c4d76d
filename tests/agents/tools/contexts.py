"""A context that answers from dictionaries, and definitions of tools, for the tests of the kinds."""

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from agents.tools.seam import DataSource, McpServer, NoLongerOurs, PlatformAway, ToolCall, ToolDefinition

TENANT = UUID(int=7)
PRINCIPAL = UUID(int=8)


@dataclass
class Context:
    """What tools of a test may ask for. away: how many look-ups the platform's database leaves unanswered."""

    secrets: dict[str, str] = field(default_factory=dict)
    sources: dict[str, DataSource] = field(default_factory=dict)
    servers: dict[str, McpServer] = field(default_factory=dict)
    changed: list[tuple[str, str, str]] = field(default_factory=list)
    tenant_id: UUID = TENANT
    run_id: UUID | None = None
    principal_id: UUID = PRINCIPAL
    lost: bool = False
    away: int = 0
    concealed: list[str] = field(default_factory=list)

    def begin(self) -> None:
        """Nobody else has the run, unless `lost`."""
        if self.lost:
            raise NoLongerOurs

    def conceal(self, value: str) -> None:
        """Keep it among those that were concealed."""
        self.concealed.append(value)

    def secret(self, name: str) -> str:
        """The secret, or KeyError."""
        self._look_up()
        return self.secrets[name]

    def source(self, name: str) -> DataSource:
        """The data source, or KeyError."""
        self._look_up()
        return self.sources[name]

    def mcp_server(self, name: str) -> McpServer:
        """The MCP server, or KeyError."""
        self._look_up()
        return self.servers[name]

    def mcp_changed(self, server: str, tool: str, sha256: str) -> None:
        """Remember it."""
        self.changed.append((server, tool, sha256))

    def _look_up(self) -> None:
        if self.away > 0:
            self.away -= 1
            raise PlatformAway


def call_of(kind: str, config: dict[str, Any], arguments: dict[str, Any] | None = None, **spec: Any) -> ToolCall:
    """A call of a tool of that kind and configuration."""
    definition = ToolDefinition(name=f"{kind}_tool", version=1, kind=kind, config=config, **spec)
    return ToolCall(definition, arguments or {}, "run-1-call-1")

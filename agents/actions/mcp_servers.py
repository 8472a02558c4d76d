"""Define MCP servers, ask them what they offer, remove them."""

import json
from collections.abc import Mapping
from typing import Any, Final

from django.db import connection
from django.utils import timezone

from access.acting import acting
from agents.actions import tools
from agents.actions.checking import refuse
from agents.core.schema import Problem
from agents.engine.toolbox import registry
from agents.errors import ChangedMeanwhile, McpServerFailed, McpServerInUse, UnknownMcpServer
from agents.models import McpServerRow
from agents.tools.mcp.config import SERVER_NAME, server_problems
from agents.tools.mcp.definitions import Definition
from agents.tools.mcp.faults import McpError
from agents.tools.mcp.kind import McpKind, with_secrets
from agents.tools.seam import McpServer
from audit import journal
from config.redaction import Redactor
from tenants.principal import Principal
from vault.actions import secrets

Json = Any
DISCOVER_S: Final = 20.0
MAX_KEPT_CHARS: Final = 4 * 1024 * 1024
"""Of all definitions of a server together, as JSON."""


def put(name: str, spec: Mapping[str, Json], *, acting_as: Principal | str) -> McpServerRow:
    """Define the MCP server `name`. One that is so already is returned without a record; another one is unknown anew.

    Raises `InvalidDocument`, and what `acting` raises for `tools:write`.
    """
    with acting(acting_as, "tools:write") as actor:
        refuse(_problems(name, spec), f"The MCP server {name} is not valid.")
        row, created = McpServerRow.objects.select_for_update().get_or_create(name=name, defaults={"document": spec})
        if not created and row.document == spec:
            return row
        row.document, row.discovered, row.discovered_at, row.seen = dict(spec), None, None, {}
        row.save()
        facts = {"transport": spec["transport"]}
        journal.record("mcp_server.set", stream=row.id, actor=actor, facts=facts, payload={"name": name, "spec": spec})
        return row


def discover(name: str, *, acting_as: Principal | str) -> McpServerRow:
    """Ask the server what it offers and keep that; no transaction of its own is open meanwhile.

    Tools stay pinned to what they were saved with. Raises `UnknownMcpServer`, `McpServerFailed`, `ChangedMeanwhile`,
    and what `acting` raises for `tools:write`.
    """
    vault = _Vault()
    with acting(acting_as, "tools:write"):
        asked = by_name(name)
        server = _with_secrets(asked.server, vault)
    if not connection.in_atomic_block:
        connection.close()
    found = [_without_secrets(each, vault.redactor()) for each in _asked(server, vault)]
    if sum(len(json.dumps(each, ensure_ascii=False)) for each in found) > MAX_KEPT_CHARS:
        raise McpServerFailed(f"The MCP server {name} defines its tools in more than {MAX_KEPT_CHARS} characters.")
    with acting(acting_as, "tools:write") as actor:
        row = McpServerRow.objects.select_for_update().filter(id=asked.id).first()
        if row is None or row.document != asked.document:
            raise ChangedMeanwhile
        row.discovered = found
        row.discovered_at, row.seen = timezone.now(), {}
        row.save()
        payload = {"name": name, "definitions": {each.get("name", ""): each["sha256"] for each in found}}
        facts = {"tools": len(found)}
        journal.record("mcp_server.discovered", stream=row.id, actor=actor, facts=facts, payload=payload)
        return row


def remove(name: str, *, acting_as: Principal | str) -> None:
    """Remove the server. Raises `UnknownMcpServer`, `McpServerInUse`, and what `acting` raises for `tools:write`."""
    with acting(acting_as, "tools:write") as actor:
        row = McpServerRow.objects.select_for_update().filter(name=name).first()
        if row is None:
            raise UnknownMcpServer(f"There is no MCP server {name!r}.")
        using = [tool for tool, spec in tools.specs().items() if (spec.get("mcp") or {}).get("server") == name]
        if using:
            raise McpServerInUse(f"The MCP server {name} is used by {', '.join(using)}; define them otherwise first.")
        journal.record("mcp_server.deleted", stream=row.id, actor=actor, payload={"name": name})
        row.delete()


def by_name(name: str) -> McpServerRow:
    """Return the MCP server of the tenant in scope; raises `UnknownMcpServer`."""
    row = McpServerRow.objects.filter(name=name).first()
    if row is None:
        raise UnknownMcpServer(f"There is no MCP server {name!r}.")
    return row


def _problems(name: str, spec: Mapping[str, Json]) -> list[Problem]:
    found = server_problems(spec)
    if not SERVER_NAME.fullmatch(name):
        words = "An MCP server's name is 1 to 63 letters, digits, _ and -, a letter first."
        found.insert(0, Problem("", words, "document"))
    if not found and spec["transport"] == "stdio":
        try:
            _kind().check_command(spec["command"])
        except McpError as error:
            found = [Problem("/command", error.detail, "document")]
    return found


def _asked(server: McpServer, vault: "_Vault") -> list[Definition]:
    try:
        return _kind().discover(server, DISCOVER_S)
    except McpError as error:
        raise McpServerFailed(vault.redactor()(error.detail)) from error


def _without_secrets(definition: Definition, redact: Redactor) -> dict[str, Json]:
    """Return the definition as it is kept: a server may say the secrets that it was sent. The hash is as it said it."""
    said = definition.document()
    clean = {key: redact.json(value, json.dumps(value, ensure_ascii=False)) for key, value in said.items()}
    return {**clean, "sha256": definition.sha256}


def _with_secrets(server: McpServer, vault: "_Vault") -> McpServer:
    try:
        return with_secrets(server, vault)
    except LookupError as error:
        raise McpServerFailed(str(error.args[0])) from error


class _Vault:
    """The secrets of the tenant in scope. It knows those that it has told."""

    def __init__(self) -> None:
        self._told: set[str] = set()

    def secret(self, name: str) -> str:
        """Return a secret's value; raises `LookupError`."""
        value = secrets.reveal(name)
        self._told.add(value)
        return value

    def redactor(self) -> Redactor:
        """Return what takes the secrets that were told out of a text."""
        return Redactor(self._told)


def _kind() -> McpKind:
    kind = registry()["mcp"]
    assert isinstance(kind, McpKind)  # noqa: S101 - as the registry is built
    return kind

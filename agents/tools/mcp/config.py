"""The documents of MCP servers and the `mcp` block of tools. Pure."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from agents.core.document import value_problems
from agents.core.schema import Problem
from agents.core.shapes import MCP_SERVER
from agents.core.wording import pointer, shape_problems
from agents.tools.http.config import secret_in
from agents.tools.seam import ConfigProblem
from egress.errors import EgressDenied
from egress.messages import check_headers
from egress.urls import parse

Json = Any

SHA256: Final = re.compile("[0-9a-f]{64}")
SERVER_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,62}")
_KEYS: Final = ("server", "tool", "definition")
_CREDENTIAL: Final = re.compile(r"auth|cookie|token|secret|password|credential|api-?key|-key$", re.IGNORECASE)
#: Headers by which the protocol itself speaks.
_PROTOCOL: Final = re.compile(r"accept|content-type|last-event-id|origin|mcp-.*", re.IGNORECASE)


def server_problems(spec: Json) -> list[Problem]:
    """Return what is wrong with a server's `spec`; what may be run is the installation's to say, elsewhere."""
    found = value_problems(spec) or shape_problems(MCP_SERVER, spec)
    return found or list(_stdio_problems(spec) if spec["transport"] == "stdio" else _http_problems(spec))


def tool_problems(config: Mapping[str, Any]) -> list[ConfigProblem]:
    """Return what is wrong with a tool's `mcp` block; pointers are relative to it."""
    found = [
        ConfigProblem(f"/{key}", "This key is not known; an mcp tool has server, tool and definition.")
        for key in config
        if key not in _KEYS
    ]
    if not isinstance(config.get("server"), str) or not SERVER_NAME.fullmatch(config["server"]):
        found.append(ConfigProblem("/server", "Write the name of an MCP server (a document of kind McpServer)."))
    if not isinstance(config.get("tool"), str) or not config["tool"]:
        found.append(ConfigProblem("/tool", "Write the tool's name as its server spells it."))
    pinned = config.get("definition")
    if pinned is not None and not (isinstance(pinned, str) and SHA256.fullmatch(pinned)):
        found.append(ConfigProblem("/definition", "Write the SHA-256 of the definition: 64 hexadecimal digits."))
    return found


def _stdio_problems(spec: Mapping[str, Json]) -> Iterator[Problem]:
    if "command" not in spec:
        yield _problem("/command", "Write the command that starts the server, as a list: [name, argument, …].")
    for key in ("url", "headers"):
        if key in spec:
            yield _problem(f"/{key}", "A server over stdio has a command and nothing else; remove this.")
    for index, word in enumerate(spec.get("command", ())):
        if "secret:" in word:
            where = f"/command/{index}"
            yield _problem(where, "A secret cannot stand here: every process of the machine can read a command line.")


def _http_problems(spec: Mapping[str, Json]) -> Iterator[Problem]:
    if "command" in spec:
        yield _problem("/command", "A server over http has a url and headers; remove this.")
    try:
        parse(spec.get("url", ""))
    except EgressDenied as denied:
        yield _problem("/url", f"Write the server's URL, as in https://host/mcp. {denied.detail}")
    for name, value in spec.get("headers", {}).items():
        wrong = _header_fault(name, value)
        if wrong:
            yield _problem("/headers" + pointer([name]), wrong)


def _header_fault(name: str, value: str) -> str:
    if _PROTOCOL.fullmatch(name):
        return "The platform sets this header."
    if "secret:" in value and secret_in(value) is None:
        return "Write secret:NAME alone, or after one word, as in Bearer secret:NAME."
    if _CREDENTIAL.search(name) and secret_in(value) is None:
        return "A credential never stands in a document: write secret:NAME, and `secret set` it."
    try:
        check_headers({name: value})
    except EgressDenied as denied:
        return denied.detail
    return ""


def _problem(place: str, message: str) -> Problem:
    return Problem(place, message, "document")

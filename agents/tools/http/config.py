"""The `http` block of a tool: `{method, url, headers, auth, body}`. Pure."""

import re
from collections.abc import Mapping
from typing import Any

from agents.tools.http import auth
from agents.tools.http.template import TemplateError, compiled
from agents.tools.seam import ConfigProblem
from egress.errors import EgressDenied
from egress.messages import check_headers

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
QUERIES = frozenset({"GET", "DELETE"})  # methods whose further arguments go into the query
BODIES = ("json", "form")
_KEYS = ("method", "url", "headers", "auth", "body")
_SECRET = re.compile(r"(?P<scheme>[A-Za-z0-9-]+ )?secret:(?P<name>[A-Za-z][A-Za-z0-9_-]{0,62})")


def problems(config: Mapping[str, Any]) -> list[ConfigProblem]:
    """What is wrong with the block; pointers are relative to it."""
    found = [
        ConfigProblem(f"/{key}", f"This key is not known; an http tool has {', '.join(_KEYS)}.")
        for key in config
        if key not in _KEYS
    ]
    method = config.get("method", "GET")
    if method not in METHODS:
        found.append(ConfigProblem("/method", f"Write one of {', '.join(METHODS)}."))
    headers = config.get("headers") or {}
    found += _body_problems(config) + _url_problems(config.get("url")) + _header_problems(headers)
    return found + (auth.problems(config["auth"], headers) if "auth" in config else [])


def secrets_of(config: Mapping[str, Any]) -> set[str]:
    """Return the names of the secrets that a checked block refers to."""
    values = (config.get("headers") or {}).values()
    named = {read[1] for value in values if isinstance(value, str) and (read := secret_in(value))}
    return named | ({config["auth"]["secret"]} if config.get("auth") else set())


def _body_problems(config: Mapping[str, Any]) -> list[ConfigProblem]:
    if "body" not in config:
        return []
    if config["body"] not in BODIES:
        return [ConfigProblem("/body", f"Write one of {', '.join(BODIES)}.")]
    if config.get("method", "GET") in QUERIES:
        return [ConfigProblem("/body", "GET and DELETE have no body: their arguments are the query. Remove this.")]
    return []


def _url_problems(url: Any) -> list[ConfigProblem]:
    if not isinstance(url, str):
        return [ConfigProblem("/url", "Write the URL, as in https://host/path/{argument}.")]
    try:
        compiled(url)
    except TemplateError as error:
        return [ConfigProblem("/url", str(error))]
    return []


def _header_problems(headers: Any) -> list[ConfigProblem]:
    if not isinstance(headers, Mapping):
        return [ConfigProblem("/headers", "Write a mapping from header names to values.")]
    found = []
    for name, value in headers.items():
        pointer = "/headers/" + str(name).replace("~", "~0").replace("/", "~1")
        if not isinstance(name, str) or not isinstance(value, str):
            found.append(ConfigProblem(pointer, "Names and values of headers are texts."))
        elif name.lower() == "idempotency-key":
            found.append(ConfigProblem(pointer, "The platform sets this header, anew for each call."))
        elif "secret:" in value and not _SECRET.fullmatch(value):
            found.append(
                ConfigProblem(pointer, "Write secret:NAME alone, or after one word, as in Bearer secret:NAME.")
            )
        else:
            try:
                check_headers({name: value})
            except EgressDenied as denied:
                found.append(ConfigProblem(pointer, denied.detail))
    return found


def secret_in(value: str) -> tuple[str, str] | None:
    """Read a header's value `[Word ]secret:NAME` into what stands before and the name; None for a plain value."""
    match = _SECRET.fullmatch(value)
    return (match["scheme"] or "", match["name"]) if match else None

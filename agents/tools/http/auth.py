"""The `auth` block of an http tool: how a call proves who makes it. Pure.

A block names a secret and never holds one. Governed by RFC 6750 (bearer), RFC 7617 (basic) and RFC 6749, 4.4 (client
credentials).
"""

import base64
import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote_plus

from agents.tools.seam import ConfigProblem
from egress.errors import EgressDenied
from egress.messages import check_headers
from egress.urls import parse

Block = Mapping[str, Any]

OAUTH: Final = "oauth_client_credentials"
#: Keys of each type: (those it needs, those it may have beside them).
_KEYS: Final[Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "bearer": (("secret",), ()),
    "basic": (("username", "secret"), ()),
    "header": (("name", "secret"), ()),
    OAUTH: (("token_url", "client_id", "secret"), ("scope", "audience", "client_auth")),
}
_SECRET: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,62}")
_PRINTABLE: Final = re.compile(r"[^\x00-\x1f\x7f\ud800-\udfff]{1,500}")
_SCOPE: Final = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+(?: [\x21\x23-\x5b\x5d-\x7e]+)*")
_CLIENT_AUTH: Final = ("basic", "body")


def problems(block: Any, headers: Any) -> list[ConfigProblem]:
    """What is wrong with the block; pointers are relative to the `http` block. headers: what that one sets besides."""
    if not isinstance(block, Mapping):
        return [ConfigProblem("/auth", "Write a mapping, as in {type: bearer, secret: NAME}.")]
    kind = block.get("type")
    if not isinstance(kind, str) or kind not in _KEYS:
        return [ConfigProblem("/auth/type", f"Write one of {', '.join(_KEYS)}.")]
    needed, further = _KEYS[kind]
    found = [
        ConfigProblem(f"/auth/{key}", f"auth of the type {kind} has {', '.join(('type', *needed, *further))}.")
        for key in block
        if key not in ("type", *needed, *further)
    ]
    found += [ConfigProblem("/auth", f"auth of the type {kind} needs {key}.") for key in needed if key not in block]
    for key, value in block.items():
        why = _CHECKS[key](value) if key in _CHECKS else ""
        if why:
            found.append(ConfigProblem(f"/auth/{key}", why))
    return found or _doubled(block, headers)


def header_name(block: Block) -> str:
    """Return the header that the block fills."""
    return str(block["name"]) if block["type"] == "header" else "Authorization"


def header_value(block: Block, secret: str) -> str:
    """Return what the header says. secret: the secret's value; of client credentials the access token."""
    if block["type"] == "header":
        return secret
    return basic(block["username"], secret) if block["type"] == "basic" else f"Bearer {secret}"


def basic(username: str, password: str) -> str:
    """Return the credentials as RFC 7617 writes them, in UTF-8."""
    return "Basic " + base64.b64encode(f"{username}:{password}".encode("utf-8", "surrogatepass")).decode()


def client_basic(client_id: str, secret: str) -> str:
    """Return a client's credentials: both parts are form-encoded first (RFC 6749, 2.3.1)."""
    return basic(quote_plus(client_id), quote_plus(secret, errors="surrogatepass"))


def _doubled(block: Block, headers: Any) -> list[ConfigProblem]:
    filled = header_name(block).lower()
    return [
        ConfigProblem(f"/headers/{name}", "auth sets this header; write it in one of the two places.")
        for name in (headers if isinstance(headers, Mapping) else ())
        if str(name).lower() == filled
    ]


def _secret_problem(value: Any) -> str:
    if isinstance(value, str) and _SECRET.fullmatch(value):
        return ""
    return "Write the secret's name alone: letters, digits, _ and -, a letter first."


def _name_problem(value: Any) -> str:
    if not isinstance(value, str):
        return "Write the name of a header, as in X-Api-Key."
    if value.lower() == "idempotency-key":
        return "The platform sets this header, anew for each call."
    try:
        check_headers({value: "x"})
    except EgressDenied as denied:
        return denied.detail
    return ""


def _username_problem(value: Any) -> str:
    if isinstance(value, str) and _PRINTABLE.fullmatch(value) and ":" not in value:
        return ""
    return "Write a user name: 1 to 500 characters, without a colon and control characters."


def _token_url_problem(value: Any) -> str:
    if not isinstance(value, str) or "{" in value or "}" in value or "#" in value:
        return "Write the whole URL of the token endpoint; arguments and fragments have no place in it."
    try:
        parse(value)
    except EgressDenied as denied:
        return denied.detail
    return ""


def _text_problem(value: Any) -> str:
    if isinstance(value, str) and _PRINTABLE.fullmatch(value):
        return ""
    return "Write a text of 1 to 500 characters, without control characters."


def _scope_problem(value: Any) -> str:
    if isinstance(value, str) and len(value) <= 2000 and _SCOPE.fullmatch(value):
        return ""
    return "Write the scopes with one space between them (RFC 6749, 3.3)."


def _client_auth_problem(value: Any) -> str:
    return "" if value in _CLIENT_AUTH else f"Write one of {', '.join(_CLIENT_AUTH)}."


_CHECKS: Final = {
    "secret": _secret_problem,
    "name": _name_problem,
    "username": _username_problem,
    "token_url": _token_url_problem,
    "client_id": _text_problem,
    "scope": _scope_problem,
    "audience": _text_problem,
    "client_auth": _client_auth_problem,
}

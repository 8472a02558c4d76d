"""The tool kind `http`: one call through the guarded client."""

import json
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote_plus

from agents.tools.http import auth
from agents.tools.http.answers import told
from agents.tools.http.config import QUERIES, problems, secret_in
from agents.tools.http.template import ArgumentError, TemplateError, compiled, query_of
from agents.tools.http.tokens import Key, TokenError, Tokens
from agents.tools.seam import (
    ConfigProblem,
    Failed,
    Outcome,
    OutcomeUnknown,
    ToolCall,
    ToolContext,
    ToolDefinition,
    may_repeat,
)
from egress.client import Client
from egress.errors import EgressDenied, EgressError, EgressFailed
from egress.messages import Request, Response

MAX_ANSWER_BYTES = 8 * 1024 * 1024
_MEDIA_TYPES = {"json": "application/json", "form": "application/x-www-form-urlencoded"}


class HttpKind:
    """Calls of `http` tools.

    Arguments named in the URL go there and nowhere else; the others are the query of GET and DELETE, and the body
    otherwise. Every write carries `Idempotency-Key`.
    """

    bounds_itself = True

    def __init__(self, client: Client) -> None:
        self._client = client
        self._tokens = Tokens(client)

    def problems(self, definition: ToolDefinition) -> list[ConfigProblem]:
        """Check the block; no network, no secrets."""
        return problems(definition.config)

    def call(self, call: ToolCall, context: ToolContext) -> Outcome:
        """Make one request and tell what came of it."""
        definition = call.definition
        try:
            request = _request(call, context)
            credentials = _Credentials(self._tokens, definition.config.get("auth"), context)
        except ArgumentError as error:
            return Failed("bad_arguments", str(error))
        except TemplateError as error:
            return Failed("misconfigured", f"The tool's URL cannot be used. {error}")
        except LookupError as error:
            return Failed("misconfigured", f"The tool needs the secret {error.args[0]}, which is not set.")
        try:
            response = self._sent(request, credentials, definition)
        except TokenError as error:
            return Failed(error.code, error.detail, retryable=error.retryable)
        except EgressError as error:
            return _broken(error, definition)
        return told(response, definition, datetime.now(UTC))

    def _sent(self, request: Request, credentials: "_Credentials", definition: ToolDefinition) -> Response:
        """Send it; once more with a new token where the first one was refused and a second effect is excluded."""
        deadline = time.monotonic() + definition.timeout_s  # the look-ups of secrets are over: they have their own time
        response = self._client.send(_with(request, credentials, deadline))
        if response.status == 401 and credentials.are_withdrawn() and may_repeat(definition):
            response = self._client.send(_with(request, credentials, deadline))
            if response.status == 401:
                credentials.are_withdrawn()
        return response


class _Credentials:
    """What the tool's `auth` block adds to a request. Raises LookupError with the secret's name when it is not set."""

    def __init__(self, tokens: Tokens, block: auth.Block | None, context: ToolContext) -> None:
        self._tokens = tokens
        self._block = block
        self._context = context
        self._secret = _secret(context, block["secret"]) if block is not None else ""
        self._used: tuple[Key, str] | None = None

    def headers(self, deadline: float) -> dict[str, str]:
        """Return the header. deadline: of fetching a token, on the monotonic clock. Raises TokenError."""
        block = self._block
        if block is None:
            return {}
        given = self._secret
        if block["type"] == auth.OAUTH:
            # As the client's credentials are written, too: the endpoint's complaint may repeat them.
            self._context.conceal(quote_plus(given, errors="surrogatepass"))
            key = self._tokens.key(self._context.tenant_id, block, given)
            given = self._tokens.get(key, block, given, deadline)
            self._context.conceal(given)
            self._used = key, given
        return {auth.header_name(block): auth.header_value(block, given)}

    def are_withdrawn(self) -> bool:
        """Forget the token that was refused; says whether another one can be had."""
        if self._used is None:
            return False
        self._tokens.drop(*self._used)
        return True


def _with(request: Request, credentials: _Credentials, deadline: float) -> Request:
    headers = {**request.headers, **credentials.headers(deadline)}
    left_s = deadline - time.monotonic()
    if left_s <= 0:
        raise EgressFailed("timeout", "There was no time left for the call.", sent=False)
    return replace(request, headers=headers, timeout_s=left_s)


def _request(call: ToolCall, context: ToolContext) -> Request:
    definition = call.definition
    config = definition.config
    method = config.get("method", "GET")
    template = compiled(config["url"])
    further = {name: value for name, value in call.arguments.items() if name not in template.names}
    headers = _headers(config.get("headers") or {}, context)
    body = None
    if method not in QUERIES:
        form = config.get("body", "json")
        body = _body(further) if form == "json" else query_of(further).encode()
        if not any(name.lower() == "content-type" for name in headers):
            headers["Content-Type"] = _MEDIA_TYPES[form]
    if definition.effect != "read" or method != "GET":
        headers["Idempotency-Key"] = call.idempotency_key
    return Request(
        method,
        template.url(call.arguments, further if body is None else {}),
        headers,
        body,
        timeout_s=definition.timeout_s,
        max_bytes=MAX_ANSWER_BYTES,
        repeatable=may_repeat(definition),
        before_sent=context.begin,
    )


def _headers(configured: Mapping[str, str], context: ToolContext) -> dict[str, str]:
    headers = {"Accept": "application/json, text/*;q=0.9, */*;q=0.1"}
    headers = {name: value for name, value in headers.items() if name.lower() not in map(str.lower, configured)}
    for name, value in configured.items():
        secret = secret_in(value)
        headers[name] = value if secret is None else secret[0] + _secret(context, secret[1])
    return headers


def _secret(context: ToolContext, name: str) -> str:
    try:
        return context.secret(name)
    except LookupError:
        raise LookupError(name) from None


def _body(arguments: Mapping[str, Any]) -> bytes:
    try:
        return json.dumps(arguments, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except ValueError:
        raise ArgumentError(
            "The arguments hold half a character (a lone surrogate) or a number JSON has not."
        ) from None


def _broken(error: EgressError, definition: ToolDefinition) -> Outcome:
    if error.sent and not may_repeat(definition):
        return OutcomeUnknown(f"{error.detail} The request had been sent, so it may have had its effect.")
    if isinstance(error, EgressDenied):
        return Failed("egress_denied", error.detail)
    maybe_done = error.sent and definition.effect != "read"
    if error.code in ("timeout", "unreachable"):
        return Failed(error.code, error.detail, retryable=True, maybe_done=maybe_done)
    code = error.code if isinstance(error, EgressFailed) and error.code == "too_large" else "bad_result"
    return Failed(code, error.detail, maybe_done=maybe_done)

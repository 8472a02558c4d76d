"""The tool kind `http`: one call through the guarded client."""

import json
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from agents.tools.http.config import QUERIES, problems, secret_in
from agents.tools.http.template import ArgumentError, TemplateError, compiled
from agents.tools.results import read_json
from agents.tools.seam import (
    ConfigProblem,
    Failed,
    Finished,
    Outcome,
    OutcomeUnknown,
    ToolCall,
    ToolContext,
    ToolDefinition,
    may_repeat,
    unclear,
)
from egress.client import Client
from egress.errors import EgressDenied, EgressError, EgressFailed
from egress.messages import Request, Response

MAX_ANSWER_BYTES = 2 * 1024 * 1024
# Statuses after which the same request may succeed (RFC 9110, RFC 6585, RFC 8470).
_RETRYABLE = frozenset({408, 425, 429, 500, 502, 503, 504})
# Statuses of a server that broke in the middle, and of gateways that lost sight of one: they do not say what was done.
_UNCLEAR = frozenset({408, 500, 502, 503, 504, *range(520, 600)})
_JSON = re.compile(r"application/(?:[a-z0-9!#$&^_.-]+\+)?json", re.IGNORECASE)
_CHARSET = re.compile(r"charset=\"?([A-Za-z0-9_.:-]+)", re.IGNORECASE)


class HttpKind:
    """Calls of `http` tools.

    Arguments named in the URL go there and nowhere else; the others are the query of GET and DELETE, and a JSON body
    otherwise. Every write carries `Idempotency-Key`.
    """

    bounds_itself = True

    def __init__(self, client: Client) -> None:
        self._client = client

    def problems(self, definition: ToolDefinition) -> list[ConfigProblem]:
        """Check the block; no network, no secrets."""
        return problems(definition.config)

    def call(self, call: ToolCall, context: ToolContext) -> Outcome:
        """Make one request and tell what came of it."""
        try:
            request = self._request(call, context)
        except ArgumentError as error:
            return Failed("bad_arguments", str(error))
        except TemplateError as error:
            return Failed("misconfigured", f"The tool's URL cannot be used. {error}")
        except LookupError as error:
            return Failed("misconfigured", f"The tool needs the secret {error.args[0]}, which is not set.")
        try:
            response = self._client.send(request)
        except EgressError as error:
            return _broken(error, call.definition)
        return _told(response, call.definition)

    def _request(self, call: ToolCall, context: ToolContext) -> Request:
        definition = call.definition
        method = definition.config.get("method", "GET")
        template = compiled(definition.config["url"])
        further = {name: value for name, value in call.arguments.items() if name not in template.names}
        headers = _headers(definition.config.get("headers") or {}, context)
        body = None
        if method not in QUERIES:
            body = _body(further)
            if not any(name.lower() == "content-type" for name in headers):
                headers["Content-Type"] = "application/json"
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


def _told(response: Response, definition: ToolDefinition) -> Outcome:
    if response.status >= 400:
        text = _text(response).strip() or _phrase(response.status)
        failed = Failed("http_status", f"HTTP {response.status}: {text}", retryable=response.status in _RETRYABLE)
        return unclear(definition, failed) if response.status in _UNCLEAR else failed
    if not response.body:
        return Finished(None)
    if _JSON.match(response.headers.get("content-type", "")):
        try:
            return Finished(read_json(response.body))
        except (ValueError, RecursionError):
            return Finished(_text(response))  # it was done, whatever the answer's form; a schema may still object
    return Finished(_text(response))


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "no explanation"


def _text(response: Response) -> str:
    charset = _CHARSET.search(response.headers.get("content-type", ""))
    try:
        return response.body.decode(charset[1] if charset else "utf-8", "replace")
    except (LookupError, UnicodeError):
        return response.body.decode("utf-8", "replace")

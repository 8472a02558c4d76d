"""Claude, through the `anthropic` SDK. The only module that knows the SDK; `agents.core.model` is what others see.

Bodies are encoded and decoded here, not by the SDK's pydantic models: these would add and drop fields of content that
must go back unchanged, and cost half of the time of a call. Everything else (headers, connections, error classes, the
SSE decoder, the transformation of schemas, spans) is the SDK's. Waiting and repeating is the engine's: `max_retries=0`.
"""

import functools
import json
import os
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, cast

import anthropic
import httpx2
from anthropic import Anthropic, Stream

from agents.core.model import (
    Json,
    JsonObject,
    ModelAnswer,
    ModelError,
    ModelFault,
    ModelInfo,
    ModelRequest,
    Usage,
)
from agents.providers import faults
from agents.providers.schema import Inexpressible, expressible
from agents.providers.shards import LIMITS, ThreadShards
from agents.providers.stream import Accumulator, BrokenStream, StreamError, loads

DEFAULT_BASE_URL: Final = "https://api.anthropic.com"
CONNECT_TIMEOUT_S: Final = 10.0
# Longest silence inside a stream: the API sends a ping at least this often.
STALL_TIMEOUT_S: Final = 90.0
# Counting and listing answer at once or not at all.
SHORT_TIMEOUT_S: Final = 30.0
# From this `max_tokens` on an answer is streamed: an idle connection that waits for minutes gets cut on the way, and
# the SDK's own limit for plain calls is 21,333 (ten minutes at its rate of 128,000 tokens an hour).
STREAM_FROM: Final = 16_384
MAX_ANSWER_BYTES: Final = 64 * 1024 * 1024

_STOP_REASONS: Final = frozenset(
    {"end_turn", "stop_sequence", "tool_use", "pause_turn", "max_tokens", "model_context_window_exceeded", "refusal"}
)
# The request did not leave, or not whole: nothing can have run.
_NOT_SENT: Final = (
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
    httpx2.PoolTimeout,
    httpx2.WriteError,
    httpx2.WriteTimeout,
    httpx2.UnsupportedProtocol,
)

_clients: dict[tuple[str, str], Anthropic] = {}
_clients_lock = threading.Lock()


def _forget_clients() -> None:
    """Drop what was inherited by a fork: two processes on one connection would read each other's answers."""
    global _clients, _clients_lock
    _clients, _clients_lock = {}, threading.Lock()


os.register_at_fork(after_in_child=_forget_clients)


def close_connections() -> None:
    """Close every client of this process; a later call makes new ones."""
    with _clients_lock:
        clients = list(_clients.values())
        _clients.clear()
    for client in clients:
        client.close()


class ClaudeProvider:
    """Calls the Messages API at `base_url`; any server that speaks it will do. Thread-safe.

    All instances of a process with the same address and key share one SDK client and its connections.

    stream_from: the `max_tokens` from which an answer is streamed.
    """

    def __init__(self, api_key: str, base_url: str | None = None, *, stream_from: int = STREAM_FROM) -> None:
        self._key = (base_url or DEFAULT_BASE_URL, api_key)
        self._stream_from = stream_from

    def answer(self, request: ModelRequest, *, timeout_s: float) -> ModelAnswer:
        """Call the model once.

        timeout_s: seconds for the whole call; a server that trickles may take one silence longer (`timeout_s`, or
            `STALL_TIMEOUT_S` in a stream).

        Raises `ModelError`; nothing of a broken answer counts.
        """
        deadline = time.monotonic() + timeout_s
        streamed = request.max_tokens >= self._stream_from
        body = _body(request)
        body["max_tokens"] = request.max_tokens
        body["cache_control"] = {"type": "ephemeral"}
        if streamed:
            body["stream"] = True
        read_s = min(timeout_s, STALL_TIMEOUT_S) if streamed else timeout_s
        response = self._post("/v1/messages", body, read_s)
        request_id = response.headers.get("request-id")
        try:
            with _transport_faults(answered=True, request_id=request_id):
                message = _streamed(response, deadline) if streamed else _plain(response, deadline)
        except BrokenStream as error:
            raise ModelError(_broken(str(error), request_id)) from error
        except StreamError as error:
            raise ModelError(faults.from_stream_event(error.body, request_id=request_id)) from error
        finally:
            response.close()
        return _model_answer(message, request_id)

    def count_tokens(self, request: ModelRequest) -> int:
        """Return the input tokens the request would take. Raises `ModelError`."""
        response = self._post("/v1/messages/count_tokens", _body(request), SHORT_TIMEOUT_S)
        request_id = response.headers.get("request-id")
        try:
            with _transport_faults(answered=True, request_id=request_id):
                message = _plain(response, time.monotonic() + SHORT_TIMEOUT_S)
            return int(message["input_tokens"])
        except (BrokenStream, StreamError, KeyError, TypeError, ValueError) as error:
            raise ModelError(_broken("The token count makes no sense.", request_id, billed=False)) from error
        finally:
            response.close()

    def models(self) -> list[ModelInfo]:
        """Return the models on offer, newest first; limits of 0 were not said. Raises `ModelError`."""
        with _status_faults(), _transport_faults(answered=False):
            page = self._client().models.list(limit=1000, timeout=SHORT_TIMEOUT_S)
            return [_model_info(model.model_dump(mode="json")) for model in page]

    def _post(self, path: str, body: JsonObject, read_s: float) -> httpx2.Response:
        """Send, and return the answer with its body yet unread."""
        timeout = httpx2.Timeout(read_s, connect=CONNECT_TIMEOUT_S)
        content = _encode(body)
        with _status_faults(), _transport_faults(answered=False):
            # `stream` only leaves the body to us here; whether the model streams is said in the body.
            response = self._client().post(
                path,
                cast_to=cast(Any, httpx2.Response),
                content=content,
                options={"timeout": timeout},
                stream=True,
                stream_cls=Stream[Any],
            )
        return cast(httpx2.Response, response)

    def _client(self) -> Anthropic:
        client = _clients.get(self._key)
        if client is None:
            with _clients_lock:
                client = _clients.get(self._key)
                if client is None:
                    client = _clients[self._key] = _new_client(*self._key)
        return client


def accepted_schema(schema: Json) -> JsonObject | None:
    """Return what is sent as `output_config.format.schema`, or None if structured outputs cannot express it.

    Without a format the model is only held to the schema by the prompt and by our own check of its answer.
    """
    try:
        return anthropic.transform_schema(expressible(schema))
    except Inexpressible:
        return None


def _new_client(base_url: str, api_key: str) -> Anthropic:
    # Redirects are not followed: they would carry the key along.
    http_client = (
        anthropic.DefaultHttpxClient(limits=LIMITS, follow_redirects=False)
        if urllib.request.getproxies()
        else anthropic.DefaultHttpxClient(transport=ThreadShards(LIMITS), follow_redirects=False)
    )
    return Anthropic(api_key=api_key, base_url=base_url, max_retries=0, http_client=http_client)


def _body(request: ModelRequest) -> JsonObject:
    body: JsonObject = {"model": request.model, "messages": request.messages}
    if request.system:
        body["system"] = request.system
    if request.tools:
        body["tools"] = request.tools
    output_config: JsonObject = {}
    if request.output_schema is not None:
        schema = _accepted_schema_of(_encode(request.output_schema))
        if schema is not None:
            output_config["format"] = {"type": "json_schema", "schema": schema}
    if request.effort is not None:
        output_config["effort"] = request.effort
    if output_config:
        body["output_config"] = output_config
    return body


@functools.lru_cache(maxsize=256)
def _accepted_schema_of(encoded: bytes) -> JsonObject | None:
    return accepted_schema(json.loads(encoded))


def _encode(value: Any) -> bytes:
    try:
        try:
            return _encoder.encode(value).encode()
        except UnicodeEncodeError:
            # A lone surrogate has no UTF-8; as an escape it travels.
            return _ascii_encoder.encode(value).encode()
    except (TypeError, ValueError) as error:
        raise ModelError(ModelFault("invalid_request", f"The request is not JSON: {error}", retryable=False)) from error


def _plain_containers(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is not JSON")


_encoder = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False, default=_plain_containers)
_ascii_encoder = json.JSONEncoder(separators=(",", ":"), allow_nan=False, default=_plain_containers)


def _plain(response: httpx2.Response, deadline: float) -> JsonObject:
    chunks = []
    size = 0
    for chunk in response.iter_bytes():
        _check_deadline(deadline)
        chunks.append(chunk)
        size += len(chunk)
        if size > MAX_ANSWER_BYTES:
            raise BrokenStream(f"The answer is larger than {MAX_ANSWER_BYTES} bytes.")
    try:
        message = loads(b"".join(chunks))
    except ValueError as error:
        raise BrokenStream(f"The answer is not JSON: {error}") from error
    if not isinstance(message, dict):
        raise BrokenStream("The answer is not a JSON object.")
    if message.get("type") == "error":
        raise StreamError(message)
    return message


def _streamed(response: httpx2.Response, deadline: float) -> JsonObject:
    accumulator = Accumulator()
    size = 0
    for event in Stream.raw_events(response):
        _check_deadline(deadline)
        size += len(event.data)
        if size > MAX_ANSWER_BYTES:
            raise BrokenStream(f"The answer is larger than {MAX_ANSWER_BYTES} bytes.")
        if event.data:
            accumulator.add(event.data)
    return accumulator.message()


def _check_deadline(deadline: float) -> None:
    if time.monotonic() > deadline:
        raise httpx2.ReadTimeout("The answer took longer than it may.")


def _model_answer(message: JsonObject, request_id: str | None) -> ModelAnswer:
    try:
        content = message["content"]
        if not isinstance(content, list) or not all(map(_is_block, content)):
            raise TypeError("content is not a list of blocks")
        stop_reason = message["stop_reason"]
        if stop_reason not in _STOP_REASONS:
            # What an unknown reason asks for is unknown: nothing of the answer may be acted upon.
            text = f"The model stopped for a reason that is not known here: {stop_reason!r}."
            raise ModelError(ModelFault("provider_error", text, False, request_id=request_id, billed=True))
        return ModelAnswer(
            model=str(message["model"]),
            stop_reason=stop_reason,
            content=content,
            usage=_usage(message["usage"]),
            stop_details=message.get("stop_details"),
            request_id=request_id,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ModelError(_broken(f"The answer makes no sense: {error!r}", request_id)) from error


#: What the engine reads of a block, by type; other types are kept and sent back unread.
_READ: Final[dict[str, dict[str, type]]] = {"text": {"text": str}, "tool_use": {"id": str, "name": str}}


def _is_block(block: Any) -> bool:
    fields = _READ.get(block["type"], {}) if isinstance(block["type"], str) else None
    if fields is None or (block["type"] == "tool_use" and "input" not in block):
        return False
    return all(isinstance(block.get(name), kind) for name, kind in fields.items())


def _usage(usage: JsonObject) -> Usage:
    by_ttl = usage.get("cache_creation") or {}
    return Usage(
        input_tokens=int(usage.get("input_tokens") or 0),
        output_tokens=int(usage["output_tokens"]),
        cache_read_input_tokens=int(usage.get("cache_read_input_tokens") or 0),
        cache_creation_input_tokens=int(usage.get("cache_creation_input_tokens") or 0),
        cache_creation_1h_input_tokens=int(by_ttl.get("ephemeral_1h_input_tokens") or 0),
    )


def _model_info(model: JsonObject) -> ModelInfo:
    return ModelInfo(
        id=model["id"],
        display_name=model.get("display_name") or model["id"],
        max_input_tokens=model.get("max_input_tokens") or 0,
        max_output_tokens=model.get("max_tokens") or 0,
        capabilities=model.get("capabilities") or {},
        lifecycle=model.get("lifecycle") or "active",
        retires_at=model.get("retires_at"),
    )


def _broken(message: str, request_id: str | None, *, billed: bool = True) -> ModelFault:
    return ModelFault("broken_stream", message, retryable=True, status=200, request_id=request_id, billed=billed)


@contextmanager
def _status_faults() -> Iterator[None]:
    """Turn the SDK's errors into ours."""
    try:
        yield
    except anthropic.APIStatusError as error:
        fault = faults.from_status(
            error.status_code, error.body, error.response.headers, now=time.time(), request_id=error.request_id
        )
        raise ModelError(fault) from error
    except anthropic.APIConnectionError as error:
        raise ModelError(_transport_fault(error.__cause__ or error, answered=False)) from error


@contextmanager
def _transport_faults(*, answered: bool, request_id: str | None = None) -> Iterator[None]:
    """Turn errors of the connection into ours. answered: status 200 had already come."""
    try:
        yield
    except httpx2.HTTPError as error:
        raise ModelError(_transport_fault(error, answered=answered, request_id=request_id)) from error


def _transport_fault(error: BaseException, *, answered: bool, request_id: str | None = None) -> ModelFault:
    sent = not isinstance(error, _NOT_SENT)
    if isinstance(error, httpx2.TimeoutException) and sent:
        code = "timeout"
    else:
        code = "broken_stream" if answered else "connection"
    message = str(error) or type(error).__name__
    retryable = not isinstance(error, httpx2.UnsupportedProtocol)
    status = 200 if answered else None
    return ModelFault(code, message[: faults.MESSAGE_LIMIT], retryable, status, request_id=request_id, billed=sent)

"""The rehearsal server's routes: the Messages API, and what tests ask it about itself. ASGI."""

import hmac
import itertools
import json
import re
import time
from collections import Counter
from collections.abc import Mapping, MutableMapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs

from agents.core.model import JsonObject, ModelInfo
from agents.providers.catalogue import shipped_models
from agents.providers.rehearsal.conversation import Conversation
from agents.providers.rehearsal.errors import Rejected, invalid
from agents.providers.rehearsal.message_rules import check_messages
from agents.providers.rehearsal.playing import Play, Player
from agents.providers.rehearsal.rules import check
from agents.providers.rehearsal.scripts import Script
from agents.providers.rehearsal.sending import Exchange, Receive, Send
from agents.providers.rehearsal.tokens import PromptCache, count

MAX_BODY_BYTES = 32 * 1024 * 1024
_VERSION = re.compile(r"\d{4}-\d{2}-\d{2}")


class Rehearsal:
    """The ASGI application.

    api_key: the only key that is accepted; None accepts any that is not empty.
    """

    def __init__(self, scripts: Sequence[Script], api_key: str | None = None) -> None:
        self._player = Player(scripts)
        self._cache = PromptCache(time.monotonic)
        self._api_key = api_key
        self._numbers = itertools.count(1)
        self._calls = 0
        self._open = 0
        self._most_open = 0
        self._rejected: Counter[str] = Counter()
        self._last_rejection: str | None = None

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request."""
        exchange = Exchange(receive, send, f"req_rehearsal{next(self._numbers):08d}")
        try:
            await self._route(scope, receive, exchange)
        except Rejected as rejected:
            self._rejected[rejected.type] += 1
            self._last_rejection = rejected.message
            await exchange.error(rejected)

    async def _route(self, scope: MutableMapping[str, Any], receive: Receive, exchange: Exchange) -> None:
        route = (scope["method"], scope["path"])
        if route == ("GET", "/rehearsal/stats"):
            await exchange.json(200, self._stats())
            return
        # The body is taken in first: an answer to half a request looks like a broken connection to its sender.
        body = await _read(receive)
        account = self._account({name.decode(): value.decode("latin-1") for name, value in scope["headers"]})
        if route == ("POST", "/v1/messages"):
            await self._create(_decoded(body), account, exchange)
        elif route == ("POST", "/v1/messages/count_tokens"):
            await exchange.json(200, {"input_tokens": _count(_decoded(body))})
        elif route == ("GET", "/v1/models"):
            await exchange.json(200, _page(parse_qs(scope["query_string"].decode())))
        elif scope["method"] == "GET" and scope["path"].startswith("/v1/models/"):
            await exchange.json(200, _model(scope["path"].removeprefix("/v1/models/")))
        else:
            raise Rejected(404, "not_found_error", f"{scope['method']} {scope['path']}: Not found")

    def _account(self, headers: Mapping[str, str]) -> str:
        """Return the key, which stands for its account. Raises `Rejected`."""
        authorization = headers.get("authorization", "")
        key = headers.get("x-api-key") or authorization.removeprefix("Bearer ")
        if not key:
            raise Rejected(401, "authentication_error", "x-api-key header is required")
        if self._api_key is not None and not hmac.compare_digest(key.encode(), self._api_key.encode()):
            raise Rejected(401, "authentication_error", "invalid x-api-key")
        version = headers.get("anthropic-version")
        if version is None:
            raise invalid("anthropic-version: header is required")
        if not _VERSION.fullmatch(version):
            raise invalid(f'anthropic-version: "{version}" is not a valid version')
        return key

    async def _create(self, body: JsonObject, account: str, exchange: Exchange) -> None:
        self._calls += 1
        conversation = _conversation(body)
        play = self._player.play(conversation)
        usage = self._usage(play, account, body, conversation)
        self._open += 1
        self._most_open = max(self._most_open, self._open)
        try:
            send = exchange.stream if body.get("stream") else exchange.plain
            await send(play.answer, usage, play.turn.delay_ms / 1000, play.fault)
        finally:
            self._open -= 1

    def _usage(self, play: Play, account: str, body: JsonObject, conversation: Conversation) -> JsonObject:
        usage = self._cache.usage(account, body, conversation.messages)
        thinking = [block for block in play.answer.content if "thinking" in block["type"]]
        usage["output_tokens"] = count(list(play.answer.content))
        usage["output_tokens_details"] = {"thinking_tokens": count(thinking) if thinking else 0}
        return {**usage, **play.turn.usage}

    def _stats(self) -> JsonObject:
        scripts = {script.name: self._player.calls[script.name] for script in self._player.scripts}
        return {
            "calls": self._calls,
            "scripts": scripts,
            "faults": dict(self._player.faults),
            "rejected": dict(self._rejected),
            "last_rejection": self._last_rejection,
            "open": self._open,
            "most_open": self._most_open,
        }


async def _read(receive: Receive) -> bytes:
    chunks = []
    size = 0
    more = True
    while more:
        event = await receive()
        more = event.get("more_body", False)
        size += len(event.get("body", b""))
        if size <= MAX_BODY_BYTES:
            chunks.append(event.get("body", b""))
    if size > MAX_BODY_BYTES:
        raise Rejected(413, "request_too_large", "Request exceeds the maximum size")
    return b"".join(chunks)


def _decoded(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError as error:
        raise invalid(f"The request body is not valid JSON: {error}") from error


def _conversation(body: Any) -> Conversation:
    model = check(body)
    conversation = Conversation.of(body, check_messages(body["messages"], prefill=model["prefill"]))
    tokens = _tokens(body)
    if tokens > model["max_input_tokens"]:
        raise invalid(f"prompt is too long: {tokens} tokens > {model['max_input_tokens']} maximum")
    return conversation


def _count(body: Any) -> int:
    model = check(body, counting=True)
    check_messages(body["messages"], prefill=model["prefill"])
    return _tokens(body)


def _tokens(body: JsonObject) -> int:
    return sum(count(body[name]) for name in ("system", "tools", "messages", "output_config") if body.get(name))


def _page(query: Mapping[str, Sequence[str]]) -> JsonObject:
    """Return one page of the models, newest first. Source: `ModelListParams` and `SyncPage` of the SDK."""
    limit = _limit(query)
    wanted = query.get("lifecycle", query.get("lifecycle[]", ["active", "deprecated"]))
    models = [model for model in shipped_models() if model.lifecycle in wanted]
    ids = [model.id for model in models]
    first, last = 0, len(models)
    for name in ("after_id", "before_id"):
        if name in query:
            cursor = query[name][0]
            if cursor not in ids:
                raise invalid(f"{name}: no model of that id in the list")
            if name == "after_id":
                first = ids.index(cursor) + 1
            else:
                last = ids.index(cursor)
                first = max(0, last - limit)
    page = models[first:last][:limit]
    more = first > 0 if "before_id" in query else first + len(page) < len(models)
    return {
        "data": [_model_json(model) for model in page],
        "has_more": more,
        "first_id": page[0].id if page else None,
        "last_id": page[-1].id if page else None,
    }


def _limit(query: Mapping[str, Sequence[str]]) -> int:
    text = query.get("limit", ["20"])[0]
    if not text.isdigit() or not 1 <= int(text) <= 1000:
        raise invalid("limit: Input should be between 1 and 1000")
    return int(text)


def _model(model_id: str) -> JsonObject:
    for model in shipped_models():
        if model.id == model_id:
            return _model_json(model)
    raise Rejected(404, "not_found_error", f"model: {model_id}")


def _model_json(model: ModelInfo) -> JsonObject:
    return {
        "type": "model",
        "id": model.id,
        "display_name": model.display_name,
        "created_at": datetime(1970, 1, 1, tzinfo=UTC).isoformat(),
        "max_input_tokens": model.max_input_tokens,
        "max_tokens": model.max_output_tokens,
        "capabilities": dict(model.capabilities),
        "lifecycle": model.lifecycle,
        "deprecated_at": None,
        "retires_at": model.retires_at,
    }

"""Access tokens of the client-credentials grant (RFC 6749, 4.4): fetched once for many calls, and kept for a time.

They live in this process's memory and nowhere else. A token belongs to a tenant, an `auth` block and the secret's
value, so that with another value another one is fetched. Many threads may ask at once: one fetches, the others wait.
"""

import hashlib
import json
import math
import os
import re
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode
from uuid import UUID

from agents.tools.http.auth import Block, client_basic
from egress.client import Client
from egress.errors import EgressError
from egress.forks import start_afresh_in_children
from egress.messages import Request, Response
from egress.urls import parse

MAX_TOKENS: Final = 1024
MAX_ANSWER_BYTES: Final = 256 * 1024
#: How long a token is kept whose answer does not say, and how long one is kept at most, in seconds.
UNSAID_S: Final = 300.0
LONGEST_S: Final = 24 * 3600.0
#: A token is used no more in its last seconds: no more than these, and no more than a quarter of its life.
MARGIN_S: Final = 30.0
_MAX_TOKEN_CHARS: Final = 16 * 1024
_PASSING: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
_TOKEN: Final = re.compile(r"[\x21-\x7e]+")
#: Of an error's code and words (RFC 6749, 5.2).
_WORDS: Final = re.compile(r"[^\x20-\x7e]+")

Key = tuple[UUID, str, bytes]


class TokenError(Exception):
    """No token is to be had: the call was not made.

    code: `auth_failed`, or that of the call to the token endpoint that broke. The text is for people and models.
    """

    def __init__(self, code: str, detail: str, *, retryable: bool = False) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.retryable = retryable


@dataclass(frozen=True, slots=True)
class _Kept:
    """A token. until: on the clock, when it is used no more."""

    value: str
    until: float


class Tokens:
    """The access tokens of one process. client: the guarded way out; clock: monotonic, in seconds."""

    def __init__(self, client: Client, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._clock = clock
        self._salt = os.urandom(32)
        self.start_afresh()
        start_afresh_in_children(self)

    def start_afresh(self) -> None:
        """Forget all: after a fork, whoever held the lock or fetched is not here."""
        self._lock = threading.Lock()  # guards the two below
        self._kept: dict[Key, _Kept] = {}
        self._fetching: dict[Key, Future[str]] = {}

    def key(self, tenant_id: UUID, block: Block, secret: str) -> Key:
        """Return what a token is kept under."""
        digest = hashlib.blake2b(secret.encode("utf-8", "surrogatepass"), key=self._salt, digest_size=32).digest()
        return tenant_id, json.dumps(dict(block), sort_keys=True), digest

    def get(self, key: Key, block: Block, secret: str, deadline: float) -> str:
        """Return a token that is good for now, fetched if need be. deadline: on the monotonic clock of the process.

        Raises TokenError.
        """
        while True:
            with self._lock:
                kept = self._kept.get(key)
                if kept is not None and kept.until > self._clock():
                    return kept.value
                fetching = self._fetching.get(key)
                if fetching is None:
                    mine = self._fetching[key] = Future[str]()
            if fetching is None:
                return self._fetch(key, block, secret, deadline, mine)
            try:
                return fetching.result(timeout=max(0.0, deadline - time.monotonic()))
            except FutureTimeoutError:
                raise _out_of_time(block) from None
            except TokenError as error:
                if error.code != "timeout" or time.monotonic() >= deadline:
                    raise TokenError(error.code, error.detail, retryable=error.retryable) from None
                # Whoever fetched had less time left than there is here.

    def drop(self, key: Key, token: str) -> None:
        """Forget this token, which was refused; one that was fetched since then stays."""
        with self._lock:
            kept = self._kept.get(key)
            if kept is not None and kept.value == token:
                del self._kept[key]

    def _fetch(self, key: Key, block: Block, secret: str, deadline: float, mine: "Future[str]") -> str:
        began = self._clock()
        try:
            value, lifetime_s = _answered(self._client, block, secret, deadline)
        except BaseException as error:
            with self._lock:
                del self._fetching[key]
            mine.set_exception(error if isinstance(error, TokenError) else _broken(block))
            raise
        with self._lock:
            del self._fetching[key]
            if lifetime_s > 0:
                self._keep(key, _Kept(value, began + lifetime_s - min(MARGIN_S, lifetime_s / 4)))
        mine.set_result(value)
        return value

    def _keep(self, key: Key, kept: _Kept) -> None:
        self._kept.pop(key, None)
        if len(self._kept) >= MAX_TOKENS:
            now = self._clock()
            self._kept = {each: old for each, old in self._kept.items() if old.until > now}
        while len(self._kept) >= MAX_TOKENS:
            del self._kept[next(iter(self._kept))]  # the one that was fetched longest ago
        self._kept[key] = kept


def _answered(client: Client, block: Block, secret: str, deadline: float) -> tuple[str, float]:
    """Ask the token endpoint; returns the token and its life in seconds, 0 for one that is used once."""
    left_s = deadline - time.monotonic()
    if left_s <= 0:
        raise _out_of_time(block)
    try:
        response = client.send(_request(block, secret, left_s))
    except EgressError as error:
        passing = error.code in ("timeout", "unreachable")
        code = error.code if passing or error.code == "egress_denied" else "auth_failed"
        raise TokenError(code, f"No access token: {error.detail}", retryable=passing) from None
    said = _json(response)
    if response.status != 200:
        raise _refused(block, response, said)
    return _token(block, response, said)


def _request(block: Block, secret: str, timeout_s: float) -> Request:
    form = {"grant_type": "client_credentials"}
    form |= {name: block[name] for name in ("scope", "audience") if name in block}
    headers = {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"}
    if block.get("client_auth", "basic") == "basic":
        headers["Authorization"] = client_basic(block["client_id"], secret)
    else:
        form |= {"client_id": block["client_id"], "client_secret": secret}
    body = urlencode(form, errors="surrogatepass").encode()
    return Request(
        "POST",
        block["token_url"],
        headers,
        body,
        timeout_s=timeout_s,
        max_bytes=MAX_ANSWER_BYTES,
        max_redirects=0,  # a client's credentials go where the document says, and nowhere else
        repeatable=True,
    )


def _json(response: Response) -> Mapping[str, Any] | None:
    try:
        said = json.loads(response.body)
    except (ValueError, RecursionError):
        return None
    return said if isinstance(said, dict) else None


def _refused(block: Block, response: Response, said: Mapping[str, Any] | None) -> TokenError:
    where, retryable = _where(block), response.status in _PASSING
    if 300 <= response.status < 400:
        why = "redirects, which is not followed; write the address it is at now"
    elif said is not None and isinstance(said.get("error"), str):
        more = said.get("error_description")
        words = f"{said['error']} ({more})" if isinstance(more, str) and more else said["error"]
        why = f"answered HTTP {response.status}: {_WORDS.sub(' ', words)}"
    else:
        why = f"answered HTTP {response.status} without saying why in JSON"
    return TokenError("auth_failed", f"No access token: {where} {why}.", retryable=retryable)


def _token(block: Block, response: Response, said: Mapping[str, Any] | None) -> tuple[str, float]:
    where = _where(block)
    if said is None:
        media_type = _WORDS.sub(" ", response.headers.get("content-type", "no content type"))[:100]
        raise TokenError("auth_failed", f"No access token: {where} answered no JSON object ({media_type}).")
    token, kind = said.get("access_token"), said.get("token_type", "bearer")
    if not isinstance(token, str) or not _TOKEN.fullmatch(token) or len(token) > _MAX_TOKEN_CHARS:
        raise TokenError("auth_failed", f"No access token: {where} answered without a usable access_token.")
    if not isinstance(kind, str) or kind.lower() != "bearer":
        raise TokenError("auth_failed", f"No access token: {where} gives tokens of another type than bearer.")
    return token, _lifetime_s(said.get("expires_in"))


def _lifetime_s(said: Any) -> float:
    """Read `expires_in`; many write the number as a text. What is no number says nothing."""
    if said is None:
        return UNSAID_S
    try:
        seconds = float(said) if isinstance(said, str | int | float) and not isinstance(said, bool) else 0.0
    except (ValueError, OverflowError):
        return 0.0
    return min(max(seconds, 0.0), LONGEST_S) if math.isfinite(seconds) else 0.0


def _where(block: Block) -> str:
    return f"the token endpoint {parse(block['token_url']).authority}"


def _out_of_time(block: Block) -> TokenError:
    return TokenError("timeout", f"No access token: {_where(block)} did not answer in time.", retryable=True)


def _broken(block: Block) -> TokenError:
    return TokenError("auth_failed", f"No access token: asking {_where(block)} broke off.", retryable=True)

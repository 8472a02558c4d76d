"""What allauth asks a provider goes out by the guarded client, and comes back as a JSON object or not at all.

Discovery, keys, tokens and user info are all asked through `session()`. Redirects are not followed: none of the four is
ever redirected (OpenID Connect Discovery 1.0, 4.2; RFC 6749, 5.1), and one would lead where the tenant's owner never
pointed.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

from requests import PreparedRequest, Response, Session
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict

from egress import installed, messages
from egress.errors import EgressError
from signin.oidc.errors import CallFailed

#: Seconds for one call altogether, and bytes of one answer.
TIMEOUT_S: Final = 10.0
MAX_BYTES: Final = 512 * 1024

_OK: Final = 200


class GuardedTransport(BaseAdapter):
    """Carries requests of the `requests` package over `egress`."""

    def send(
        self,
        request: PreparedRequest,
        stream: bool = False,
        timeout: float | tuple[float | None, float | None] | None = None,
        verify: bool | str = True,
        cert: bytes | str | tuple[bytes | str, bytes | str] | None = None,
        proxies: Mapping[str, str] | None = None,
    ) -> Response:
        """Make the call; raises `CallFailed`. Time, trust and route are the guarded client's, whatever is asked."""
        try:
            answer = installed.client().send(_guarded(request))
        except EgressError as error:
            raise CallFailed(f"{error.code}: {error.detail}", request=request) from error
        if answer.status != _OK:
            raise CallFailed(f"The provider answered with status {answer.status}.", request=request)
        response = Response()
        response.status_code = answer.status
        response.url, response.request = answer.url, request
        response.headers = CaseInsensitiveDict({"Content-Type": "application/json"})
        response.encoding = "utf-8"
        response._content = _object(answer.body, request)
        return response

    def close(self) -> None:
        """Keep nothing: idle connections are the guarded client's."""


def session() -> Session:
    """Return a session of the `requests` package that goes by the guarded client and takes nothing from outside."""
    made = Session()
    made.trust_env = False
    made.adapters.clear()
    made.mount("https://", GuardedTransport())
    made.mount("http://", GuardedTransport())
    return made


def _guarded(request: PreparedRequest) -> messages.Request:
    body = request.body.encode() if isinstance(request.body, str) else request.body
    assert body is None or isinstance(body, bytes)  # noqa: S101 - forms are; nothing here streams
    return messages.Request(
        method=request.method or "GET",
        url=request.url or "",
        headers={name: _text(value) for name, value in request.headers.items() if not _reserved(name)},
        body=body,
        timeout_s=TIMEOUT_S,
        max_bytes=MAX_BYTES,
        max_redirects=0,
    )


def _reserved(name: str) -> bool:
    return name.lower() in messages.RESERVED_HEADERS


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def _object(body: bytes, request: PreparedRequest) -> bytes:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise CallFailed("The provider's answer is not JSON.", request=request) from error
    if not isinstance(value, dict):
        raise CallFailed("The provider's answer is not a JSON object.", request=request)
    return json.dumps(value).encode()

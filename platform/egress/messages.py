"""Requests and responses of the guarded client."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from egress.errors import EgressDenied

_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_VALUE = re.compile(r"[\x21-\x7e\x80-\xff](?:[\x20-\x7e\x80-\xff\t]*[\x21-\x7e\x80-\xff])?|")
# Framing and routing belong to the client: a caller who set them could smuggle a second request or reach another site.
RESERVED_HEADERS = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)


@dataclass(frozen=True, slots=True)
class Request:
    """One request to the outside.

    headers: none of RESERVED_HEADERS. body: None for none.
    timeout_s: seconds for everything together: name, connection, redirects, the last byte of the answer.
    max_bytes: of the answer's body, decompressed. max_redirects: hops followed; 0 hands a redirect back as it is.
    repeatable: whether the server may see it twice; None: by method (GET, HEAD and OPTIONS may).
    before_sent: called on each hop once it is connected, before the first byte goes out; what it raises is raised.
    on_answer: called with status and headers of an answer that is no redirect to be followed; what it returns is called
        with each piece of the body as it comes in, and the response has none then; None has the body read whole.
    """

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    timeout_s: float = 30.0
    max_bytes: int = 4 * 1024 * 1024
    max_redirects: int = 5
    repeatable: bool | None = None
    before_sent: Callable[[], None] | None = None
    on_answer: "Callable[[int, Mapping[str, str]], Callable[[bytes], None] | None] | None" = None

    @property
    def may_repeat(self) -> bool:
        """Whether the server may see it twice."""
        return self.method.upper() in {"GET", "HEAD", "OPTIONS"} if self.repeatable is None else self.repeatable


@dataclass(frozen=True, slots=True)
class Response:
    """The answer. headers: names in lower case, values of repeated ones joined by a comma; url: of the last hop."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str


def check_headers(headers: Mapping[str, str]) -> None:
    """Raise EgressDenied for a header that is reserved or malformed. No value is ever quoted: it may be a secret."""
    for name, value in headers.items():
        if not _TOKEN.fullmatch(name):
            raise EgressDenied(f"{name!r} is not the name of a header.")
        if name.lower() in RESERVED_HEADERS:
            raise EgressDenied(f"The header {name} is set by the platform.")
        if not _VALUE.fullmatch(value):
            raise EgressDenied(f"The value of the header {name} holds a character that headers cannot carry.")

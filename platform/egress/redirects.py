"""What follows a redirect. Pure. Governed by RFC 9110, 15.4, and stricter where credentials could leave."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, urljoin

from egress.errors import EgressDenied, EgressFailed
from egress.urls import Url, parse

FOLLOWED = frozenset({301, 302, 303, 307, 308})
_TO_ANYBODY = frozenset({"accept", "accept-language", "user-agent"})
_OF_A_BODY = frozenset({"content-type", "content-encoding", "content-language", "idempotency-key"})


@dataclass(frozen=True, slots=True)
class Hop:
    """One request on the wire. headers: those of the caller that may go to this place."""

    method: str
    url: Url
    headers: Mapping[str, str]
    body: bytes | None


def after(hop: Hop, status: int, location: str) -> Hop:
    """Return the hop that an answer with `status` and `location` leads to.

    303 always, and 301 and 302 after a POST, go on as GET without the body; the others keep method and body. To
    another origin go only harmless headers, never a body, and only GET and HEAD. From https to http nothing goes.
    Raises EgressDenied or EgressFailed.
    """
    target = _target(hop.url, location)
    if hop.url.scheme == "https" and target.scheme == "http":
        raise EgressDenied("The server redirects from https to http; that is not followed.", sent=True)
    method, body, headers = hop.method, hop.body, dict(hop.headers)
    if (status == 303 and method != "HEAD") or (status in (301, 302) and method == "POST"):
        method, body = "GET", None
        headers = {name: value for name, value in headers.items() if name.lower() not in _OF_A_BODY}
    if target.origin != hop.url.origin:
        if body is not None or method not in ("GET", "HEAD"):
            raise EgressDenied(
                f"The server redirects a {method} to another site, {target.authority}; that is not followed.", sent=True
            )
        headers = {name: value for name, value in headers.items() if name.lower() in _TO_ANYBODY}
    return Hop(method, target, headers, body)


def _target(base: Url, location: str) -> Url:
    if not location:
        raise EgressFailed("bad_answer", "The server redirects without saying where to.", sent=True)
    try:
        raw = location.encode("latin-1", "replace")
        return parse(urljoin(str(base), quote(raw, safe="!#$%&'()*+,/:;=?@[]~\\")))
    except ValueError:
        raise EgressFailed("bad_answer", "The server redirects to something that is not a URL.", sent=True) from None
    except EgressDenied as denied:
        raise EgressDenied(f"The server redirects to a place that is not called. {denied.detail}", sent=True) from None

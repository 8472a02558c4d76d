"""The one guarded HTTP client: every call to the outside goes through here.

Each hop is resolved once, every address of the answer is checked, and the connection goes to exactly a checked
address, so that a name that changes its mind in between (DNS rebinding) gains nothing. Nothing is taken from the
environment: no proxies, no netrc. One `Client` serves any number of threads; idle connections are kept for the
(scheme, name, port, address) they were checked for and never cross a fork.
"""

import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from ipaddress import ip_address

import httpcore2

from egress.addresses import Address, why_not_public
from egress.allow import Allow
from egress.bodies import pass_body, read_body
from egress.errors import EgressDenied, EgressError, EgressFailed
from egress.forks import start_afresh_in_children
from egress.messages import Request, Response, check_headers
from egress.ports import why_not_the_web
from egress.redirects import FOLLOWED, Hop, after
from egress.streams import BodyTooLargeError, HeadTooLargeError, Stream, connect
from egress.threads import OutOfTimeError, Threads, TooManyAbandonedError, remaining
from egress.urls import Url, parse, read_host

Resolve = Callable[[str, int], Sequence[str]]
_MAX_HEAD_BYTES = 64 * 1024
_KEEPALIVE_S = 15.0
_MAX_IDLE = 64
#: Bytes on the wire for each byte of a body: chunks of one byte each take six.
_MAX_FRAMING = 8
#: Addresses of one name that are tried; whoever names a thousand does so for what happens at them.
_MAX_ADDRESSES = 8
_RESOLVING = Threads("egress-resolver", max_abandoned=32)

_Place = tuple[str, str, int, Address]


def resolve(host: str, port: int) -> Sequence[str]:
    """Ask the system's resolver. Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(info[4][0]) for info in found))


class _Connection(httpcore2.HTTP11Connection):
    MAX_INCOMPLETE_EVENT_SIZE = _MAX_HEAD_BYTES

    @property
    def is_clean(self) -> bool:
        """Whether nothing followed the answer: what did would be taken for the answer to somebody else's call."""
        data, _ = self._h11_state.trailing_data
        return self.is_idle() and not data


class Client:
    """Calls the outside, and nothing inside but what `allow` names.

    allow: (host, port) pairs that may be private, hosts in canonical form (`egress.allow.parse_allow`).
    setting: which one allows them, as those are told who are denied.
    connect_s: seconds for one connection, TLS included. resolver and tls: for tests and special trust stores.
    """

    def __init__(
        self,
        allow: Allow = frozenset(),
        *,
        setting: str = "EGRESS_ALLOW",
        connect_s: float = 10.0,
        resolver: Resolve = resolve,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._allow, self._setting = allow, setting
        self._connect_s = connect_s
        self._resolver = resolver
        self._tls = tls
        self._lock = threading.Lock()  # guards what follows
        self._idle: dict[_Place, list[tuple[_Connection, Stream]]] = {}
        start_afresh_in_children(self)

    def send(self, request: Request) -> Response:
        """Make the call, following redirects. Raises EgressDenied or EgressFailed, and nothing else of its own."""
        check_headers(request.headers)
        deadline = time.monotonic() + request.timeout_s
        headers = {"User-Agent": "Countersign", "Accept": "*/*"}
        given = {name.lower() for name in request.headers}
        headers = {name: value for name, value in headers.items() if name.lower() not in given}
        hop = Hop(request.method.upper(), parse(request.url), headers | dict(request.headers), request.body)
        for followed in range(request.max_redirects + 1):
            try:
                response = self._hop(hop, request, deadline)
            except EgressError as error:
                error.sent = error.sent or followed > 0
                raise
            if response.status not in FOLLOWED or request.max_redirects == 0:
                return response
            hop = after(hop, response.status, response.headers.get("location", ""))
        raise EgressFailed("bad_answer", f"The server redirects more than {request.max_redirects} times.", sent=True)

    def addresses(self, host: str, port: int, *, timeout_s: float) -> list[Address]:
        """Resolve `host` once and return its addresses, each one checked. For callers that connect themselves.

        host: a name, an IPv4 address, or an IPv6 address in brackets. At most eight are returned; whichever port of
        public ones will do. Raises EgressDenied or EgressFailed.
        """
        name, address = read_host(host)
        return self._addresses(name, port, address, time.monotonic() + timeout_s, barred=None)

    def close(self) -> None:
        """Close the idle connections."""
        with self._lock:
            idle, self._idle = self._idle, {}
        for connections in idle.values():
            for connection, _ in connections:
                connection.close()

    __del__ = close

    def _addresses(
        self, host: str, port: int, address: Address | None, deadline: float, *, barred: str | None
    ) -> list[Address]:
        """Resolve and check. barred: why no address is called at this port but those that are allowed, or None."""
        if barred and all(port != allowed for _, allowed in self._allow):
            raise self._denied(f"{host} is not called: {barred}", host, port)
        found = [address] if address else self._resolve(host, port, deadline)
        if (host, port) not in self._allow:
            for each in found:
                if (str(each), port) in self._allow:
                    continue
                why = why_not_public(each)
                if why:
                    verb = "is" if address else "leads to"  # which address stays untold: names are the network's secret
                    raise self._denied(f"{host} {verb} an address that is not public ({why})", host, port)
                if barred:
                    raise self._denied(f"{host} is not called: {barred}", host, port)
        return found[:_MAX_ADDRESSES]

    def _denied(self, why: str, host: str, port: int) -> EgressDenied:
        place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        return EgressDenied(f"{why}; the installation can allow it with {self._setting}={place}.")

    def _resolve(self, host: str, port: int, deadline: float) -> list[Address]:
        try:
            texts = _RESOLVING.call(lambda: self._resolver(host, port), remaining(deadline))
            found: list[Address] = [ip_address(text) for text in texts]
        except (OutOfTimeError, TooManyAbandonedError, TimeoutError):
            raise EgressFailed("timeout", f"The name {host} was not resolved in time.", sent=False) from None
        except (OSError, UnicodeError, ValueError):
            found = []
        if not found:
            raise EgressFailed("unreachable", f"The name {host} could not be resolved.", sent=False)
        return found

    def _hop(self, hop: Hop, request: Request, deadline: float) -> Response:
        url = hop.url
        places = [
            (url.scheme, url.host, url.port, each)
            for each in self._addresses(url.host, url.port, url.address, deadline, barred=why_not_the_web(url.port))
        ]
        kept = self._take(places) if request.may_repeat else None
        if kept is not None:
            try:
                return self._exchange(kept, hop, request, deadline)
            except EgressFailed as failed:
                if failed.code != "unreachable" or kept[2].answered:
                    raise
                # The server closed the idle connection as we used it; the request may be repeated on a new one.
        return self._exchange(self._connect(url, places, deadline), hop, request, deadline)

    def _connect(self, url: Url, places: list[_Place], deadline: float) -> tuple[_Place, _Connection, Stream]:
        tls = (self._context(), url.host) if url.scheme == "https" else None
        failure: OSError = TimeoutError()
        for place in places:
            try:
                timeout_s = min(self._connect_s, remaining(deadline))
                stream = connect(place[3], url.port, timeout_s=timeout_s, tls=tls)
            except OSError as error:
                failure = error
                continue
            origin = httpcore2.Origin(url.scheme.encode(), url.host.encode(), url.port)
            return place, _Connection(origin, stream, keepalive_expiry=_KEEPALIVE_S), stream
        if isinstance(failure, TimeoutError):
            raise EgressFailed("timeout", f"{url.authority} did not accept a connection in time.", sent=False)
        if isinstance(failure, ssl.SSLError):
            why = failure.verify_message if isinstance(failure, ssl.SSLCertVerificationError) else "no TLS"
            raise EgressFailed("unreachable", f"{url.authority} has no trusted certificate: {why}.", sent=False)
        raise EgressFailed("unreachable", f"{url.authority} did not accept a connection.", sent=False)

    def _exchange(
        self, kept: tuple[_Place, _Connection, Stream], hop: Hop, request: Request, deadline: float
    ) -> Response:
        place, connection, stream = kept
        stream.begin(
            deadline=deadline,
            max_head_bytes=_MAX_HEAD_BYTES,
            max_body_bytes=_MAX_HEAD_BYTES + _MAX_FRAMING * request.max_bytes,
        )
        where = hop.url.authority
        try:
            if request.before_sent is not None:
                request.before_sent()
            response = _talk(connection, stream, hop, request)
        except TimeoutError:
            raise EgressFailed("timeout", f"{where} did not answer in time.", sent=stream.sent) from None
        except HeadTooLargeError:
            raise EgressFailed("bad_answer", f"{where} answered with too large a head.", sent=stream.sent) from None
        except BodyTooLargeError:
            raise EgressFailed("too_large", f"{where} answered with little in very many bytes.", sent=True) from None
        except httpcore2.LocalProtocolError:
            raise EgressDenied("The request cannot be written as HTTP.", sent=stream.sent) from None
        except httpcore2.RemoteProtocolError:
            code = "bad_answer" if stream.answered else "unreachable"
            raise EgressFailed(code, f"{where} broke off or did not answer in HTTP.", sent=stream.sent) from None
        except (OSError, httpcore2.NetworkError):
            raise EgressFailed("unreachable", f"{where} cut the connection.", sent=stream.sent) from None
        finally:
            self._give_back(place, connection, stream)
        return response

    def _take(self, places: list[_Place]) -> tuple[_Place, _Connection, Stream] | None:
        with self._lock:
            for place in places:
                kept = self._idle.get(place, [])
                while kept:
                    connection, stream = kept.pop()
                    if not kept:
                        del self._idle[place]
                    if not connection.has_expired():
                        return place, connection, stream
                    connection.close()
        return None

    def start_afresh(self) -> None:
        """After a fork: the lock may be held by a thread that is not here, the connections are the parent's."""
        self._lock = threading.Lock()
        self.close()  # only this process's handles: nothing goes over the wire

    def _give_back(self, place: _Place, connection: _Connection, stream: Stream) -> None:
        if connection.is_clean:
            with self._lock:
                if sum(map(len, self._idle.values())) < _MAX_IDLE:
                    self._idle.setdefault(place, []).append((connection, stream))
                    return
        connection.close()

    def _context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = ssl.create_default_context()
            self._tls.set_alpn_protocols(["http/1.1"])
        return self._tls


def _talk(connection: _Connection, stream: Stream, hop: Hop, request: Request) -> Response:
    framing = {"Host": hop.url.authority, "Accept-Encoding": "gzip"}
    if hop.body is not None or hop.method in ("POST", "PUT", "PATCH"):
        framing["Content-Length"] = str(len(hop.body or b""))
    headers = [
        (name.encode("latin-1"), value.encode("latin-1")) for name, value in (framing | dict(hop.headers)).items()
    ]
    url = hop.url
    target = httpcore2.URL(scheme=url.scheme, host=url.host, port=url.port, target=url.target)
    answer = connection.handle_request(httpcore2.Request(hop.method, target, headers=headers, content=hop.body or b""))
    stream.head_done()
    fields: dict[str, str] = {}
    for raw_name, raw_value in answer.headers:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        fields[name] = f"{fields[name]}, {value}" if name in fields else value
    try:
        if answer.status in FOLLOWED and request.max_redirects:
            body = b""  # left unread: the connection is closed
        else:
            encoding = fields.get("content-encoding", "")
            sink = request.on_answer(answer.status, fields) if request.on_answer is not None else None
            if sink is None:
                body = read_body(answer.iter_stream(), encoding=encoding, max_bytes=request.max_bytes)
            else:
                body = b""
                pass_body(answer.iter_stream(), sink, encoding=encoding, max_bytes=request.max_bytes)
    finally:
        answer.close()
    return Response(answer.status, fields, body, str(url))

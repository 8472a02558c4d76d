"""One table of URLs that lead, or might lead, where no tenant may: none of them makes a packet leave.

Each is tried as the URL of a call, as what a server redirects to, and as what an http tool is given. A spy sees every
attempt to connect or to send; what the system's resolver would be asked is answered from a table instead, and a trap
listens on loopback where a URL that slipped through would lead (`PORT`).
"""

import socket
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from agents.tools.http.kind import HttpKind
from agents.tools.seam import Failed
from egress.client import Client
from egress.errors import EgressDenied, EgressError
from egress.messages import Request
from tests.agents.tools.contexts import Context, call_of
from tests.egress.servers import Seen, answer, says, serve

#: What names lead to. Whoever asks for another one gets a public address, which nobody may be called at here.
NAMES = {
    "localhost": ["127.0.0.1", "::1"],
    "localhost.localdomain": ["127.0.0.1"],
    "ip6-localhost": ["::1"],
    "intranet": ["10.1.2.3"],
    "metadata.google.internal": ["169.254.169.254"],
    "kubernetes.default.svc": ["10.96.0.1"],
    "127.0.0.1.nip.example": ["127.0.0.1"],
    "mixed.example": ["93.184.215.14", "127.0.0.1"],
    "mixed6.example": ["93.184.215.14", "fd00::1"],
    "mapped.example": ["::ffff:127.0.0.1"],
    "nat64.example": ["64:ff9b::7f00:1"],
    "linklocal.example": ["fe80::1%1"],
    "multicast.example": ["224.0.0.251"],
    "nowhere.example": ["0.0.0.0"],  # noqa: S104 - an address to refuse, not to bind
}

HOSTILE = [
    # Written plainly
    "http://127.0.0.1:PORT/",
    "http://127.255.255.254:PORT/",
    "http://0.0.0.0:PORT/",
    "http://10.0.0.1/",
    "http://100.64.0.1/",
    "http://169.254.169.254/latest/meta-data/iam/security-credentials/",
    "http://169.254.170.2/v2/credentials",
    "http://168.63.129.16/machine?comp=goalstate",
    "http://172.16.0.1/",
    "http://172.31.255.255/",
    "http://192.0.0.1/",
    "http://192.0.2.1/",
    "http://192.31.196.1/",
    "http://192.52.193.1/",
    "http://192.88.99.1/",
    "http://192.168.0.1/",
    "http://192.175.48.1/",
    "http://198.18.0.1/",
    "http://198.51.100.1/",
    "http://203.0.113.1/",
    "http://224.0.0.1/",
    "http://239.255.255.255/",
    "http://240.0.0.1/",
    "http://255.255.255.255/",
    "https://127.0.0.1:PORT/",
    # IPv6, and IPv4 inside it
    "http://[::1]:PORT/",
    "http://[::]:PORT/",
    "http://[0:0:0:0:0:0:0:1]:PORT/",
    "http://[0000:0000:0000:0000:0000:0000:0000:0001]:PORT/",
    "http://[::127.0.0.1]:PORT/",
    "http://[::ffff:127.0.0.1]:PORT/",
    "http://[::ffff:7f00:1]:PORT/",
    "http://[0:0:0:0:0:ffff:7f00:1]:PORT/",
    "http://[::ffff:0:127.0.0.1]:PORT/",
    "http://[::ffff:93.184.215.14]:PORT/",
    "http://[64:ff9b::127.0.0.1]/",
    "http://[64:ff9b::a00:1]/",
    "http://[64:ff9b:1::1]/",
    "http://[100::1]/",
    "http://[100:0:0:1::1]/",
    "http://[2001::1]/",
    "http://[2001:0:7f00:1::]/",
    "http://[2001:db8::1]/",
    "http://[2002:7f00:1::]/",
    "http://[2002:a00:1::1]/",
    "http://[2620:4f:8000::1]/",
    "http://[3fff::1]/",
    "http://[5f00::1]/",
    "http://[fc00::1]/",
    "http://[fd00:ec2::254]/latest/meta-data/",
    "http://[fe80::1]/",
    "http://[fe80::1%25lo]:PORT/",
    "http://[fe80::1%lo]:PORT/",
    "http://[::1%251]:PORT/",
    "http://[fec0::1]/",
    "http://[ff02::1]/",
    "http://[ff0e::1]/",
    "http://[4000::1]/",
    "http://[2a00:1450:4001:800:0:5efe:7f00:1]/",
    # Oddly written
    "http://2130706433:PORT/",
    "http://017700000001:PORT/",
    "http://0x7f000001:PORT/",
    "http://0x7F.1:PORT/",
    "http://0x7f.0x0.0x0.0x1:PORT/",
    "http://127.1:PORT/",
    "http://127.0.1:PORT/",
    "http://0177.0.0.1:PORT/",
    "http://0000177.0.0.1:PORT/",
    "http://127.0.0.01:PORT/",
    "http://127.0.0.1.:PORT/",
    "http://127.0.0.1..:PORT/",
    "http://127..0.0.1:PORT/",
    "http://0:PORT/",
    "http://0x0:PORT/",
    "http://00000000:PORT/",
    "http://4294967297:PORT/",
    "http://127.0.0.257:PORT/",
    "http://1.1.1.1.1/",
    "http://-1.0.0.1/",
    "http://3232235521/",
    "http://0xa9fea9fe/",
    "http://0251.0376.0251.0376/",
    "http://169.254.43518/",
    "http://\uff11\uff12\uff17.\uff10.\uff10.\uff11:PORT/",
    "http://\u2460\u2461\u2466.0.0.1:PORT/",
    "http://\u0661\u0662\u0667.0.0.1:PORT/",
    "http://127\u30020\u30020\u30021:PORT/",
    "http://127\uff0e0\uff0e0\uff0e1:PORT/",
    "http://127\uff610\uff610\uff611:PORT/",
    "http://[\uff1a\uff1a1]:PORT/",
    "http://[::\uff11]:PORT/",
    "http://%31%32%37.0.0.1:PORT/",
    "http://127%2e0%2e0%2e1:PORT/",
    "http://%6c%6f%63%61%6c%68%6f%73%74:PORT/",
    "http://[127.0.0.1]:PORT/",
    "http://::1:PORT/",
    "http://[::1:PORT/",
    "http://::1]:PORT/",
    "http://[[::1]]:PORT/",
    "http://[::1]a:PORT/",
    "http://[v1.::1]:PORT/",
    "http://[]:PORT/",
    # Names
    "http://localhost:PORT/",
    "http://LOCALHOST:PORT/",
    "http://localhost.:PORT/",
    "http://localhost..:PORT/",
    "http://localhost.localdomain:PORT/",
    "http://ip6-localhost:PORT/",
    "http://intranet/",
    "http://metadata.google.internal/computeMetadata/v1/",
    "http://kubernetes.default.svc/",
    "http://127.0.0.1.nip.example:PORT/",
    "http://mixed.example:PORT/",
    "http://mixed6.example:PORT/",
    "http://mapped.example:PORT/",
    "http://nat64.example/",
    "http://linklocal.example/",
    "http://multicast.example/",
    "http://nowhere.example:PORT/",
    "http://\uff4c\uff4f\uff43\uff41\uff4c\uff48\uff4f\uff53\uff54:PORT/",
    "http://\u24db\u24de\u24d2\u24d0\u24db\u24d7\u24de\u24e2\u24e3:PORT/",
    "http://local\u00adhost:PORT/",
    "http://local\u200bhost:PORT/",
    "http://loc\u2060alhost:PORT/",
    "http://localho\u017ft:PORT/",
    "http://\u2113ocalhost:PORT/",
    "http://localhost\u3002:PORT/",
    "http://localhost\x00.example:PORT/",
    "http://localhost%00.example:PORT/",
    "http://localhost%20.example:PORT/",
    "http://.localhost:PORT/",
    "http://*:PORT/",
    # Who is the host?
    "http://example.com@127.0.0.1:PORT/",
    "http://example.com:80@127.0.0.1:PORT/",
    "http://127.0.0.1:PORT@example.com/",
    "http://user:password@127.0.0.1:PORT/",
    "http://@127.0.0.1:PORT/",
    "http://example.com%40127.0.0.1:PORT/",
    "http://example.com\\@127.0.0.1:PORT/",
    "http://127.0.0.1:PORT\\@example.com/",
    "http://127.0.0.1:PORT\\.example.com/",
    "http:\\\\127.0.0.1:PORT\\",
    "http:/\\127.0.0.1:PORT/",
    "http:/127.0.0.1:PORT/",
    "http:127.0.0.1:PORT/",
    "http:////127.0.0.1:PORT/",
    "http://exa\tmple.com/",
    "http://127.0.0.1\t:PORT/",
    "http://exa\nmple.com/",
    "http://example.com/\r\nHost: 127.0.0.1",
    "\x01http://127.0.0.1:PORT/",
    " http://127.0.0.1:PORT/",
    "http://127.0.0.1:PORT/ HTTP/1.1\r\nX: y",
    "h\tttp://127.0.0.1:PORT/",
    "http://127.0.0.1:PORT#@example.com/",
    "http://127.0.0.1:PORT?@example.com/",
    "http://example.com:PORT:80/",
    # Other schemes
    "file:///etc/passwd",
    "file://127.0.0.1/etc/passwd",
    "ftp://127.0.0.1:PORT/",
    "gopher://127.0.0.1:PORT/_FLUSHALL",
    "dict://127.0.0.1:PORT/stat",
    "ldap://127.0.0.1:PORT/",
    "tftp://127.0.0.1:PORT/x",
    "ws://127.0.0.1:PORT/",
    "jar:http://127.0.0.1:PORT/!/",
    "netdoc:///etc/passwd",
    "data:text/plain,x",
    "unix:///var/run/docker.sock",
    "http+unix://%2Fvar%2Frun%2Fdocker.sock/info",
    "//127.0.0.1:PORT/",
    # Ports: of public places too
    "http://93.184.215.14:0/",
    "http://93.184.215.14:65536/",
    "http://93.184.215.14:-1/",
    "http://93.184.215.14:\uff18\uff10/",
    "http://93.184.215.14:0x50/",
    "http://93.184.215.14:22/",
    "http://93.184.215.14:25/",
    "http://public.example:25/",
    "http://public.example:465/",
    "http://public.example:587/",
    "http://public.example:6379/",
    "http://public.example:11211/",
    "http://public.example:2375/v1.24/containers/json",
    "http://public.example:5432/",
]

#: As what a server redirects to these are other things than as a URL: places on the same server, or two headers.
HARMLESS_AS_LOCATION = {"http:127.0.0.1:PORT/", "http:/127.0.0.1:PORT/", "http://example.com/\r\nHost: 127.0.0.1"}

#: What the same table's neighbours look like that may be called.
ALLOWED = [
    "http://93.184.215.14/",
    "https://93.184.215.14:8443/",
    "http://[2606:4700:4700::1111]/",
    "http://public.example/",
    "http://PUBLIC.example./a?b=c#d",
    "https://b\u00fccher.example/",
    "http://public.example:8080/",
    "http://l\u043ecalhost.example/",
    "http://1.example/",
    "http://xn--bcher-kva.example/",
]


@dataclass
class Packets:
    """What left. tried: addresses that were connected or sent to; asked: names that were resolved."""

    tried: list[object] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def resolve(self, host: str, port: int) -> list[str]:
        """Answer from the table."""
        self.asked.append(host)
        return NAMES.get(host, ["93.184.215.14"])


class _Refusing(socket.socket):
    """A socket that leads nowhere but to the servers of the test's own that it was told of."""

    packets: Packets
    own: set[int]

    def connect(self, address: tuple[str, int]) -> None:  # type: ignore[override]
        if address[1] in self.own:
            super().connect(address)
            return
        self.packets.tried.append(address)
        raise ConnectionRefusedError


@pytest.fixture
def packets(monkeypatch: pytest.MonkeyPatch) -> Packets:
    """A spy on every way a packet could leave this process by."""
    seen = Packets()

    class Spying(_Refusing):
        packets, own = seen, set()

    def refuse(*arguments: object, **more: object) -> None:
        seen.tried.append(arguments)
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "socket", Spying)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket, "gethostbyname", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    for name in ("connect_ex", "sendto", "sendmsg"):
        monkeypatch.setattr(Spying, name, refuse)
    return seen


@pytest.fixture(scope="module")
def trap() -> Iterator[Seen]:
    """A server inside, which must not be called."""
    with serve(says(answer(b"inside"))) as seen:
        yield seen


def test_the_table_is_long_enough() -> None:
    assert len(set(HOSTILE)) == len(HOSTILE) > 150


@pytest.mark.parametrize("url", HOSTILE)
def test_a_hostile_url_is_refused_before_anything_leaves(url: str, packets: Packets, trap: Seen) -> None:
    client = Client(resolver=packets.resolve)

    with pytest.raises(EgressDenied) as denied:
        client.send(Request("POST", url.replace("PORT", str(trap.port)), body=b"x"))

    assert not denied.value.sent
    assert packets.tried == []
    assert trap.connections == 0


@pytest.mark.parametrize("url", HOSTILE)
def test_a_tool_with_a_hostile_url_fails_before_anything_leaves(url: str, packets: Packets, trap: Seen) -> None:
    kind = HttpKind(Client(resolver=packets.resolve))

    outcome = kind.call(call_of("http", {"url": url.replace("PORT", str(trap.port))}, effect="write"), Context())

    assert isinstance(outcome, Failed)
    assert outcome.code in {"egress_denied", "misconfigured"}
    assert packets.tried == []
    assert trap.connections == 0


@pytest.mark.parametrize("url", [url for url in HOSTILE if url not in HARMLESS_AS_LOCATION])
def test_a_redirect_to_a_hostile_url_is_not_followed(url: str, packets: Packets, trap: Seen) -> None:
    location = url.replace("PORT", str(trap.port)).encode()
    head = b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: " + location + b"\r\n\r\n"
    with serve(says(head)) as front:
        socket.socket.own.add(front.port)  # type: ignore[attr-defined]
        client = Client(frozenset({("127.0.0.1", front.port)}), resolver=packets.resolve)
        with pytest.raises(EgressError):
            client.send(Request("GET", front.url))

    assert packets.tried == []
    assert trap.connections == 0


@pytest.mark.parametrize("url", ALLOWED)
def test_its_harmless_neighbours_are_called_where_they_lead(url: str, packets: Packets) -> None:
    with pytest.raises(EgressError) as failed:
        Client(resolver=packets.resolve).send(Request("GET", url))

    assert failed.value.code == "unreachable"  # the spy refuses the connection
    assert [place[0] for place in packets.tried] in (["93.184.215.14"], ["2606:4700:4700::1111"])  # type: ignore[index]

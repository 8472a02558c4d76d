"""URLs that two parsers could read two ways are refused, or read in the one way that is then checked."""

from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egress.allow import parse_allow
from egress.errors import EgressAllowError, EgressDenied
from egress.urls import parse

REFUSED = [
    "",
    "http:",
    "http://",
    "http:///etc/passwd",
    "//127.0.0.1/",
    "/path",
    "127.0.0.1:80",
    "javascript:alert(1)",
    "file:///etc/passwd",
    "file://localhost/etc/passwd",
    "ftp://example.com/",
    "gopher://127.0.0.1:6379/_INFO",
    "dict://127.0.0.1:11211/",
    "ldap://127.0.0.1/",
    "unix:///var/run/docker.sock",
    "http+unix://%2Fvar%2Frun%2Fdocker.sock/info",
    "ws://example.com/",
    "http://2130706433/",
    "http://017700000001/",
    "http://0x7f000001/",
    "http://0X7F000001/",
    "http://127.1/",
    "http://127.0.1/",
    "http://0/",
    "http://0.0/",
    "http://0177.0.0.1/",
    "http://127.0.0.01/",
    "http://0x7f.0.0.1/",
    "http://127.0.0.0x1/",
    "http://0x/",
    "http://256.256.256.256/",
    "http://127.0.0.1.1/",
    "http://127.0.0.1:80:80/",
    "http://127..0.1/",
    "http://.127.0.0.1/",
    "http://127.0.0.1../",
    "http://example..com/",
    "http://.example.com/",
    "http://./",
    "http://exam_ple-.com/",
    "http://-example.com/",
    "http://\uff11\uff12\uff17.0.0.1/",
    "http://\u2460\u2461\u2466.0.0.1/",
    "http://127\u30020\u30020\u30021/",
    "http://loc\u0430l host/",
    "http://\u24db\u24de\u24d2\u24d0\u24db\u24d7\u24de\u24e2\u24e3/",
    "http://local\u00adhost/",
    "http://local\u200dhost/",
    "http://%31%32%37.0.0.1/",
    "http://127.0.0.1%2f@example.com/",
    "http://127.0.0.1%00.example.com/",
    "http://example.com%20/",
    "http://user@127.0.0.1/",
    "http://user:pass@example.com/",
    "http://example.com@127.0.0.1/",
    "http://example.com:80@127.0.0.1/",
    "http://example.com\\@127.0.0.1/",
    "http://127.0.0.1\\.example.com/",
    "http:\\\\127.0.0.1\\",
    "http:/\\127.0.0.1/",
    "http://example.com\t.evil/",
    "http://exa\nmple.com/",
    "http://example.com\r\nHost: evil/",
    " http://example.com/",
    "http://example.com/ ",
    "http://example.com/a b",
    "http://example.com/\x00",
    "http://example.com/\u00e4",
    "http://[::1/",
    "http://::1/",
    "http://[::1]x/",
    "http://[::1]:/",
    "http://[fe80::1%25eth0]/",
    "http://[fe80::1%eth0]/",
    "http://[v1.x]/",
    "http://[127.0.0.1]/",
    "http://[::\uff11]/",
    "http://example.com:/",
    "http://example.com:0/",
    "http://example.com:65536/",
    "http://example.com:-1/",
    "http://example.com:+80/",
    "http://example.com:8_0/",
    "http://example.com:80a/",
    "http://example.com:\uff18\uff10/",
    "http://example.com:0x50/",
    "http://" + "a" * 64 + ".com/",
    "http://" + "a." * 127 + "aa/",
    "http://exam<ple.com/",
    "http://exam'ple.com/",
    "http://*.example.com/",
]

READ = [
    ("http://127.0.0.1/", "127.0.0.1", 80, "/"),
    ("http://127.0.0.1./", "127.0.0.1", 80, "/"),
    ("HTTP://LOCALHOST:9100", "localhost", 9100, "/"),
    ("http://localhost./x", "localhost", 80, "/x"),
    ("http://[::1]:8080/", "::1", 8080, "/"),
    ("http://[0:0:0:0:0:0:0:1]/", "::1", 80, "/"),
    ("http://[::ffff:127.0.0.1]/", "::ffff:7f00:1", 80, "/"),
    ("https://Example.COM/a/../b?c=d#e", "example.com", 443, "/a/../b?c=d"),
    ("https://example.com?q", "example.com", 443, "/?q"),
    ("https://example.com#f", "example.com", 443, "/"),
    ("https://example.com:443/@x", "example.com", 443, "/@x"),
    ("https://b\u00fccher.example/", "xn--bcher-kva.example", 443, "/"),
    ("https://B\u00dcCHER.example/", "xn--bcher-kva.example", 443, "/"),
    ("http://1.example/", "1.example", 80, "/"),
]


@pytest.mark.parametrize("url", REFUSED)
def test_a_hostile_url_is_refused(url: str) -> None:
    with pytest.raises(EgressDenied):
        parse(url)


@pytest.mark.parametrize(("url", "host", "port", "target"), READ)
def test_a_url_is_read_in_one_way(url: str, host: str, port: int, target: str) -> None:
    read = parse(url)

    assert (read.host, read.port, read.target) == (host, port, target)


def test_an_address_is_known_as_one_and_a_name_is_not() -> None:
    assert str(parse("http://[::1]:8080/").address) == "::1"
    assert parse("http://localhost/").address is None


@given(st.text(alphabet="abc01279.:@/\\[]%#?-_\uff11x", max_size=40))
def test_what_is_read_is_what_another_parser_reads(text: str) -> None:
    url = f"http://{text}"
    try:
        read = parse(url)
    except EgressDenied:
        return
    other = urlsplit(url)
    assert other.username is None
    assert (other.port or 80) == read.port
    if read.address is None:
        assert (other.hostname or "").removesuffix(".") == read.host


def test_the_allow_list_is_read_into_canonical_hosts() -> None:
    allow = parse_allow("CRM.internal:8443, 127.0.0.1:9100,[0::1]:80, ,b\u00fccher.example:443")

    assert allow == {("crm.internal", 8443), ("127.0.0.1", 9100), ("::1", 80), ("xn--bcher-kva.example", 443)}
    assert parse_allow(["127.0.0.1:9100"]) == {("127.0.0.1", 9100)}
    assert parse_allow("") == frozenset()


@pytest.mark.parametrize(
    "entry",
    ["localhost", "localhost:", ":80", "::1:80", "*:80", "10.0.0.0/8:80", "127.1:80", "http://a:80", "a:b", "a:0"],
)
def test_a_bad_entry_of_the_allow_list_is_named(entry: str) -> None:
    with pytest.raises(EgressAllowError, match="EGRESS_ALLOW: "):
        parse_allow(f"127.0.0.1:80,{entry}")

"""Reading addresses of the web so that nobody downstream can read them otherwise. Pure.

A URL that two parsers could take for two places is refused, not repaired: the refusal names what to write instead.
Governed by RFC 3986 for the form, RFC 5890 to 5894 for international names, and the “ends in a number” rule of the
WHATWG URL standard for hosts that some resolvers read as IPv4 (`127.1`, `0x7f000001`, `2130706433`, `0177.0.0.1`).
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from unicodedata import normalize

import idna

from egress.addresses import Address
from egress.errors import EgressDenied

_FORM = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<authority>[^/?#]*)(?P<path>[^?#]*)(?P<query>\?[^#]*)?(?:#.*)?"
)
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_PORT = re.compile(r"[0-9]{1,5}")
_TARGET = re.compile(r"[A-Za-z0-9\-._~!$&'()*+,;=:@%/?|^`{}\[\]\"<>]*")
DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Url:
    """An absolute web address, read.

    host: lower-case ASCII name without a trailing dot, or an address in its canonical form (IPv6 without brackets).
    address: the host as an address, when it is one. target: path and query as sent, starting with a slash.
    """

    scheme: str
    host: str
    port: int
    target: str
    address: Address | None

    @property
    def origin(self) -> tuple[str, str, int]:
        """What credentials belong to (RFC 6454)."""
        return (self.scheme, self.host, self.port)

    @property
    def authority(self) -> str:
        """The value of the Host header (RFC 9110, 7.2)."""
        host = f"[{self.host}]" if isinstance(self.address, IPv6Address) else self.host
        return host if DEFAULT_PORTS[self.scheme] == self.port else f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}{self.target}"


def parse(text: str) -> Url:
    """Read an absolute http or https URL. A fragment is dropped. Raises EgressDenied with what is wrong."""
    if any(ord(char) <= 0x20 or ord(char) == 0x7F or char == "\\" for char in text):
        raise EgressDenied("The URL holds a space, a control character or a backslash; percent-encode it.")
    match = _FORM.fullmatch(text)
    if match is None:
        raise EgressDenied("The URL is not of the form https://host/path.")
    scheme = match["scheme"].lower()
    if scheme not in DEFAULT_PORTS:
        raise EgressDenied(f"Only http and https are called, not {scheme}.")
    host, address, port = _authority(match["authority"])
    target = (match["path"] or "/") + (match["query"] or "")
    if not _TARGET.fullmatch(target):
        raise EgressDenied("The path of the URL holds a character that must be percent-encoded.")
    return Url(scheme, host, DEFAULT_PORTS[scheme] if port is None else port, target, address)


@lru_cache(maxsize=1024)
def _authority(text: str) -> tuple[str, Address | None, int | None]:
    if "@" in text:
        raise EgressDenied("The URL holds a user name or password before the host; use a header with a secret.")
    if text.startswith("["):
        host, bracket, rest = text.partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise EgressDenied("The IPv6 address in the URL is not closed by a bracket.")
        host, port = host + bracket, rest[1:] if rest else None
    else:
        host, colon, tail = text.partition(":")
        port = tail if colon else None
    name, address = read_host(host)
    return name, address, None if port is None else read_port(port)


def read_port(text: str) -> int:
    """Read a port, 1 to 65535, in ASCII digits. Raises EgressDenied."""
    if not text.isascii() or not _PORT.fullmatch(text) or not 1 <= int(text) <= 65535:
        raise EgressDenied("The port is not a number from 1 to 65535.")
    return int(text)


def read_host(text: str) -> tuple[str, Address | None]:
    """Read a host: return its one canonical form, and the address if it is one. Raises EgressDenied."""
    if text.startswith("["):
        address = _ipv6(text[1:-1] if text.endswith("]") else "")
        return str(address), address
    name = _ascii(text).lower()
    name = name[:-1] if name.endswith(".") else name
    if not name:
        raise EgressDenied("The URL names no host.")
    labels = name.split(".")
    if _NUMBER.fullmatch(labels[-1]):
        return _ipv4(name)
    if len(name) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise EgressDenied("The host is not a well-formed name.")
    return name, None


def _ipv4(text: str) -> tuple[str, IPv4Address]:
    try:
        address = IPv4Address(text)
    except AddressValueError:
        raise EgressDenied(
            "The host is an oddly written address; write four decimal numbers, as in 192.0.2.1."
        ) from None
    return str(address), address


def _ipv6(text: str) -> IPv6Address:
    try:
        if "%" in text or not text.isascii():
            raise AddressValueError
        return IPv6Address(text)
    except AddressValueError:
        raise EgressDenied("The host is not a well-formed IPv6 address.") from None


def _ascii(text: str) -> str:
    if text.isascii():
        return text
    try:
        return idna.encode(normalize("NFC", text.lower()), strict=True).decode("ascii")
    except idna.IDNAError:
        raise EgressDenied("The host holds characters that no name on the Internet may hold.") from None

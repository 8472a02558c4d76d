"""The address a request comes from: one answer for limits, records and logs.

A client can write what it likes into `X-Forwarded-For`; only what the installation's own proxies appended is true. With
`TRUST_PROXY=n` the n-th entry from the right is what the outermost of n proxies saw; without it the header is ignored.
"""

import ipaddress
from functools import lru_cache
from typing import Final

from django.conf import settings
from django.http import HttpRequest

#: One customer of a network gets a /64 as a rule, so addresses below it are one client's to choose among.
IPV6_NETWORK: Final = 64

UNKNOWN: Final = "unknown"


def client_address(request: HttpRequest) -> str:
    """Return the client's IP address in its usual form; "unknown" for a peer without one, such as a Unix socket's."""
    peer = _address(request.META.get("REMOTE_ADDR", ""))
    proxies = settings.TRUST_PROXY
    if proxies:
        entries = request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")
        told = _address(entries[-proxies].strip()) if len(entries) >= proxies else None
        return told or peer or UNKNOWN
    return peer or UNKNOWN


def network(address: str) -> str:
    """Return what limits count by: an IPv4 address, or the /64 an IPv6 address lies in."""
    if ":" not in address:
        return address
    return str(ipaddress.IPv6Network((address, IPV6_NETWORK), strict=False))


@lru_cache(maxsize=4096)
def _address(text: str) -> str | None:
    """Return the address that `text` names, also with a port or a zone behind it, or None."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(address)

"""Which addresses may be reached. Pure.

Governed by the IANA special-purpose address registries for IPv4 and IPv6 (RFC 6890 and its updates), the multicast
registries, and the forms of IPv6 that carry an IPv4 address inside. `ipaddress.is_global` is not enough: it passes
NAT64, 6to4, IPv4-compatible and multicast addresses. Ranges the registries call globally reachable are refused too
when nothing there is a service for tenants (AS112, AMT, anycast relays): a deny list errs towards refusing.
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address

_IPV4: tuple[tuple[str, str], ...] = (
    ("0.0.0.0/8", "“this network” (RFC 791)"),
    ("10.0.0.0/8", "private use (RFC 1918)"),
    ("100.64.0.0/10", "shared address space (RFC 6598)"),
    ("127.0.0.0/8", "loopback (RFC 1122)"),
    ("168.63.129.16/32", "a cloud's metadata service"),
    ("169.254.0.0/16", "link-local, where metadata services live (RFC 3927)"),
    ("172.16.0.0/12", "private use (RFC 1918)"),
    ("192.0.0.0/24", "IETF protocol assignments (RFC 6890)"),
    ("192.0.2.0/24", "documentation (RFC 5737)"),
    ("192.31.196.0/24", "AS112 (RFC 7535)"),
    ("192.52.193.0/24", "AMT (RFC 7450)"),
    ("192.88.99.0/24", "6to4 relay anycast (RFC 7526)"),
    ("192.168.0.0/16", "private use (RFC 1918)"),
    ("192.175.48.0/24", "AS112 (RFC 7534)"),
    ("198.18.0.0/15", "benchmarking (RFC 2544)"),
    ("198.51.100.0/24", "documentation (RFC 5737)"),
    ("203.0.113.0/24", "documentation (RFC 5737)"),
    ("224.0.0.0/4", "multicast (RFC 5771)"),
    ("255.255.255.255/32", "limited broadcast (RFC 919)"),
    ("240.0.0.0/4", "reserved (RFC 1112)"),
)

_IPV6: tuple[tuple[str, str], ...] = (
    ("::/128", "the unspecified address (RFC 4291)"),
    ("::1/128", "loopback (RFC 4291)"),
    ("::/96", "an IPv4-compatible address (RFC 4291)"),
    ("::ffff:0:0/96", "an IPv4-mapped address (RFC 4291)"),
    ("::ffff:0:0:0/96", "an IPv4-translated address (RFC 2765)"),
    ("64:ff9b::/96", "NAT64 (RFC 6052)"),
    ("64:ff9b:1::/48", "local NAT64 (RFC 8215)"),
    ("100::/64", "discard-only (RFC 6666)"),
    ("100:0:0:1::/64", "the dummy prefix (RFC 9780)"),
    ("2001::/32", "Teredo (RFC 4380)"),
    ("2001::/23", "IETF protocol assignments (RFC 2928)"),
    ("2001:db8::/32", "documentation (RFC 3849)"),
    ("2002::/16", "6to4 (RFC 3056)"),
    ("2620:4f:8000::/48", "AS112 (RFC 7534)"),
    ("3fff::/20", "documentation (RFC 9637)"),
    ("5f00::/16", "segment routing identifiers (RFC 9602)"),
    ("fc00::/7", "unique-local (RFC 4193)"),
    ("fe80::/10", "link-local (RFC 4291)"),
    ("fec0::/10", "site-local (RFC 3879)"),
    ("ff00::/8", "multicast (RFC 4291)"),
)

_DENIED_4 = tuple((IPv4Network(net), why) for net, why in _IPV4)
_DENIED_6 = tuple((IPv6Network(net), why) for net, why in _IPV6)
_GLOBAL_UNICAST_6 = ip_network("2000::/3")  # the only space IANA hands out (RFC 4291, 2.4)


def why_not_public(address: Address) -> str | None:
    """Return why `address` is not a place in the outside world, or None when it is one."""
    if isinstance(address, IPv4Address):
        return next((why for net, why in _DENIED_4 if address in net), None)
    for net, why in _DENIED_6:
        if address in net:
            return why
    if address.scope_id is not None:
        return "an address with a zone (RFC 4007)"
    if address not in _GLOBAL_UNICAST_6:
        return "outside global unicast (RFC 4291)"
    if (int(address) >> 32) & 0xFDFFFFFF == 0x00005EFE:
        return "an ISATAP address (RFC 5214)"
    return None


def is_public(address: Address | str) -> bool:
    """Whether `address` is reachable from the outside world by everybody."""
    return why_not_public(ip_address(address) if isinstance(address, str) else address) is None

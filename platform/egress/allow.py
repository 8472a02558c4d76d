"""EGRESS_ALLOW: the private places that the installation lets calls reach. Pure."""

from collections.abc import Iterable

from egress.errors import EgressAllowError, EgressDenied
from egress.urls import read_host, read_port

Allow = frozenset[tuple[str, int]]


def parse_allow(entries: str | Iterable[str], *, setting: str = "EGRESS_ALLOW") -> Allow:
    """Read `host:port` entries (name, IPv4, or IPv6 in brackets), as a comma-separated text or one by one.

    Returns canonical hosts with their ports. Raises EgressAllowError with a sentence that names setting and entry.
    """
    each = entries.split(",") if isinstance(entries, str) else entries
    return frozenset(_entry(entry.strip(), setting) for entry in each if entry.strip())


def _entry(entry: str, setting: str) -> tuple[str, int]:
    host, colon, port = entry.rpartition(":")
    if not colon or (":" in host and not (host.startswith("[") and host.endswith("]"))):
        raise EgressAllowError(
            f"{setting}: {entry!r} is not host:port. Write for example crm.internal:8443 or [::1]:9100."
        )
    try:
        return read_host(host)[0], read_port(port)
    except EgressDenied as denied:
        raise EgressAllowError(f"{setting}: {entry!r} cannot be used. {denied.detail}") from None

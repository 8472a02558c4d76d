"""Domains of e-mail addresses, in the one form they are compared in. Pure."""

import re
from typing import Final

import idna

from signin.errors import BadDomain

_LABEL: Final = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_DOMAIN: Final = re.compile(rf"{_LABEL}(?:\.{_LABEL})+")
MAX_CHARS: Final = 253


def canonical(text: str) -> str:
    """Return the domain in lower-case ASCII (RFC 5891); raises `BadDomain`."""
    domain = text.strip().lower()
    if not domain.isascii():
        try:
            domain = idna.encode(domain, uts46=True).decode("ascii")
        except idna.IDNAError as error:
            raise BadDomain from error
    if len(domain) > MAX_CHARS or not _DOMAIN.fullmatch(domain):
        raise BadDomain(f"{text[:MAX_CHARS]!r} is not a domain. {BadDomain.__doc__}")
    return domain


def domain_of(email: str) -> str:
    """Return the domain of an address, or "" when it has none that could be anybody's."""
    try:
        return canonical(email.rpartition("@")[2])
    except BadDomain:
        return ""

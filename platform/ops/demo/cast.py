"""Who is in the demo: two tenants with one member of each role, the same team and queues in both."""

import base64
import hashlib
import hmac
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from tenants.models import Role

TENANTS: Final = {"acme": "Acme", "globex": "Globex"}
DESK: Final = "desk"

_PEOPLE: Final = {
    "olivia": Role.OWNER,
    "omar": Role.OPERATOR,
    "rita": Role.REVIEWER,
    "dana": Role.DEVELOPER,
    "vera": Role.VIEWER,
    "carl": Role.COMPLIANCE,
}


@dataclass(frozen=True, slots=True)
class Member:
    """A member of a demo tenant."""

    tenant: str
    email: str
    role: Role


def members() -> Iterator[Member]:
    """Every member of both tenants."""
    for tenant in TENANTS:
        for name, role in _PEOPLE.items():
            yield Member(tenant, f"{name}@{tenant}.example", role)


def reviewer(tenant: str) -> str:
    """The e-mail address of who decides in a tenant."""
    return f"rita@{tenant}.example"


def developer(tenant: str) -> str:
    """The e-mail address of who starts runs in a tenant; the team that may use the tools is theirs."""
    return f"dana@{tenant}.example"


def password(secret_key: str) -> str:
    """The password of every demo login: another for each installation, the same at each start."""
    letters = base64.b32encode(_derived(secret_key, "password")).decode().lower()
    return "-".join(letters[place : place + 5] for place in (0, 5, 10, 15))


def service_token(secret_key: str, tenant: str) -> str:
    """The bearer token by which a tenant's tools reach the demo's service."""
    return _derived(secret_key, f"service of {tenant}").hex()


def _derived(secret_key: str, what: str) -> bytes:
    return hmac.digest(secret_key.encode(), f"countersign demo {what}".encode(), hashlib.sha256)

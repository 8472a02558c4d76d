"""The one a request or a run acts for."""

from dataclasses import dataclass
from uuid import UUID

from tenants.models import Role


@dataclass(frozen=True, slots=True)
class Principal:
    """A member of one tenant, as who signs in or whose key it is.

    role: the member's role now. scopes: what the API key is limited to, or None for a person signed in.
    key_id: the API key, when one was used. staff_access_id: the opened access, for one of the platform's staff who only
    looks.
    """

    tenant_id: UUID
    user_id: UUID
    role: Role
    is_service: bool = False
    scopes: frozenset[str] | None = None
    key_id: UUID | None = None
    staff_access_id: UUID | None = None

    @property
    def actor(self) -> str:
        """Return the opaque id that records name this principal by."""
        return f"user:{self.user_id}"


#: Who acts when the installation's operator runs a command on the machine itself.
COMMAND = "system:command"

"""Errors of tenants."""

from typing import ClassVar


class TenantError(Exception):
    """The tenant, member or key is not as asked for."""

    code: ClassVar[str] = "tenant"
    status: ClassVar[int] = 422
    retryable: ClassVar[bool] = False

    def __init__(self, detail: str | None = None) -> None:
        super().__init__(detail or type(self).__doc__)


class UnknownTenant(TenantError):
    """There is no such tenant."""

    code = "unknown_tenant"
    status = 404


class SlugTaken(TenantError):
    """That slug is taken already."""

    code = "slug_taken"
    status = 409


class BadSlug(TenantError):
    """Use 1 to 63 lower-case letters, digits and hyphens; begin and end with a letter or digit."""

    code = "bad_slug"


class BadName(TenantError):
    """Give a name of at most 200 characters, on one line."""

    code = "bad_name"


class BadEmail(TenantError):
    """That is not an e-mail address of a person."""

    code = "bad_email"


class BadPassword(TenantError):
    """The password is too easy to guess."""

    code = "bad_password"


class UnknownMember(TenantError):
    """Nobody with that e-mail address is a member of this tenant."""

    code = "unknown_member"


class UnknownTeam(TenantError):
    """There is no such team."""

    code = "unknown_team"


class UnknownScope(TenantError):
    """There is no such scope."""

    code = "unknown_scope"


class BadKey(TenantError):
    """The API key is missing, unknown, expired or revoked."""

    code = "bad_key"
    status = 401

"""Errors of access."""

from db.errors import Refusal


class AccessDenied(Refusal):
    """You may not do this."""

    code = "forbidden"
    status = 403

    def __init__(self, detail: str | None = None, *, permission: str | None = None) -> None:
        super().__init__(detail)
        self.permission = permission


class MissingScope(AccessDenied):
    """The API key lacks the scope this needs."""

    code = "missing_scope"


class MissingGrant(AccessDenied):
    """Neither the role nor a grant allows this."""

    code = "missing_grant"


class UnknownPermission(AccessDenied):
    """There is no such permission on this kind of object."""

    code = "unknown_permission"
    status = 422


class NoConditions(AccessDenied):
    """A grant on this kind of object has no condition."""

    code = "no_conditions"
    status = 422


class UnknownGrant(AccessDenied):
    """There is no such grant."""

    code = "unknown_grant"
    status = 404


class UnknownObject(AccessDenied):
    """There is no such object."""

    code = "unknown_object"
    status = 404

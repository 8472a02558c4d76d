"""What all refusals have in common, and errors of the ground."""

from typing import ClassVar


class Refusal(Exception):
    """What was asked for is refused.

    The root of every app's errors that people and programs are told. The message is the docstring of the class, up to
    its first blank line, unless a `detail` says more. code: stable; status: the HTTP answer's; retryable: whether the
    same request may succeed later.
    """

    code: ClassVar[str]
    status: ClassVar[int] = 422
    retryable: ClassVar[bool] = False

    def __init__(self, detail: str | None = None) -> None:
        super().__init__(detail or (type(self).__doc__ or "").split("\n\n")[0])


class DbError(Exception):
    """The database cannot be used this way."""

    code: ClassVar[str] = "database"
    status: ClassVar[int] = 500
    retryable: ClassVar[bool] = False

    def __init__(self, detail: str | None = None) -> None:
        super().__init__(detail or type(self).__doc__)


class OutsideTenantScope(DbError):
    """Tenant data was asked for outside `tenant_scope(...)`."""

    code = "outside_tenant_scope"


class UnlistedTable(DbError):
    """A table has no entry in any app's `tables.py`, so nobody decided who may reach it."""

    code = "unlisted_table"


class ForeignReference(DbError):
    """A row names another tenant's row, or one that is gone."""

    code = "foreign_reference"
